"""Writes the API reference of aejax as HTML pages, from its docstrings, with pdoc.

    python scripts/api_reference.py [FOLDER]

writes to the folder `reference` if none is given. The command `pdoc` alone would leave out what `aejax.experiment`
imports when it is first used.
"""

import sys
from pathlib import Path

import pdoc

import aejax.experiment


def main() -> None:
    """Import, render."""
    for name in aejax.experiment.__all__:  # pdoc shows what stands in a module
        setattr(aejax.experiment, name, getattr(aejax.experiment, name))
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "reference")
    pdoc.render.configure(docformat="google", math=True)
    pdoc.pdoc("aejax", output_directory=folder)
    print(folder / "index.html")


if __name__ == "__main__":
    main()
