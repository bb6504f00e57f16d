"""The place of a data set's file in the folder of data."""

import os
from pathlib import Path

from aejax.errors import UserError, knob_name


def in_data_dir(path: Path, data_dir: Path | None, *, origin: str) -> Path:
    """Returns the path of a data set's file or folder in the folder of data.

    Args:
      path: relative to the folder of data.
      data_dir: that folder; None for $AEJAX_DATA_DIR.
      origin: what the message advises to fetch, and from where.

    Raises:
      UserError: there is no such file or folder.
    """
    found = (data_dir or Path(os.environ.get("AEJAX_DATA_DIR") or ".")) / path
    if not found.exists():
        raise UserError(
            f"there is no {found}: {origin}, and set {knob_name('data_dir')} or AEJAX_DATA_DIR to the folder that "
            f"contains {path.parts[0]}"
        )
    return found
