"""Command lines that messages suggest, to be copied into a shell in any folder."""

import shlex
import sys
from pathlib import Path

_SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def script_command(script: str, *arguments: str | Path) -> str:
    """Returns the command that runs a script with this Python, with absolute paths, quoted for a shell.

    Args:
      script: the script's file name.
      arguments: its arguments; a `Path` that is relative is resolved against the current folder.

    >>> script_command("train.py", "--resume", Path("/runs of mine/first")).endswith("'/runs of mine/first'")
    True
    """
    path = _SCRIPTS / script
    program = [sys.executable or "python", str(path)] if path.is_file() else ["python", f"scripts/{script}"]
    words = (str(word.absolute()) if isinstance(word, Path) else word for word in arguments)
    return shlex.join([*program, *words])
