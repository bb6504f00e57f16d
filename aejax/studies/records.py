"""Records of a study as CSV."""

import csv
import io
from collections.abc import Sequence
from typing import Any


def to_csv(records: Sequence[dict[str, Any]]) -> str:
    r"""Returns records with equal keys as CSV with a header; lines end in a newline.

    >>> to_csv([{"a": 1, "b": None}])
    'a,b\n1,\n'
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue()
