"""Command lines that messages suggest, to be copied into a shell in any folder."""

import shlex
import sys
from pathlib import Path


def verb_command(verb: str, *arguments: str | Path) -> str:
    """Returns the command that runs a verb of `aejax` with this Python, with absolute paths, quoted for a shell.

    The console program is used if it is installed beside this Python, and `python -m aejax` otherwise.

    Args:
      verb: the verb's name.
      arguments: its arguments; a `Path` that is relative is resolved against the current folder.

    >>> verb_command("train", "--resume", Path("/runs of mine/first")).endswith("train --resume '/runs of mine/first'")
    True
    """
    python = sys.executable or "python"
    console = Path(python).with_name("aejax")
    program = [str(console)] if console.is_file() else [python, "-m", "aejax"]
    words = (str(word.absolute()) if isinstance(word, Path) else word for word in arguments)
    return shlex.join([*program, verb, *words])
