"""Python files of the user, which run with all rights of this process."""

import hashlib
import sys
from pathlib import Path
from types import ModuleType

from aejax.host.files import read_text

MAX_BYTES = 2**20


def run_python_file(path: Path) -> ModuleType:
    """Runs a Python file, with all rights of this process, and returns its module; every call runs it again.

    Args:
      path: the file.

    Raises:
      UserError: the file cannot be read.
      Exception: any exception that the file raises.
    """
    source = read_text(path, limit=MAX_BYTES)
    module = ModuleType(f"_aejax_own_{digest_of(source)[:16]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses, and therefore Flax, resolve annotations there
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


def digest_of(source: str) -> str:
    """Returns the SHA-256 of a program's text."""
    return hashlib.sha256(source.encode()).hexdigest()
