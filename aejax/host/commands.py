"""Command lines that messages propose: to be copied into a shell as they are, in whatever folder that stands."""

import shlex
import sys
from pathlib import Path

_SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def script_command(script: str, *arguments: str | Path) -> str:
    """The line that runs a script: this Python, the script and every path from the root, quoted where that is needed.

    Args:
      script: its file name.
      arguments: paths as `Path`; a relative one is of the current folder.

    >>> script_command("train.py", "--resume", Path("/runs of mine/first")).endswith("'/runs of mine/first'")
    True
    """
    path = _SCRIPTS / script
    program = [sys.executable or "python", str(path)] if path.is_file() else ["python", f"scripts/{script}"]
    words = (str(word.absolute()) if isinstance(word, Path) else word for word in arguments)
    return shlex.join([*program, *words])
