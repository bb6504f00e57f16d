"""The table of a reproduction: in the terminal, as Markdown, and as JSON."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.table import Table

from aejax.studies.claims import claim_lines
from aejax.studies.reproductions.record import Result, Row

_IN_PARENTHESES = "published values in parentheses"


def shown(values: Any, digits: str = ".4g") -> str:
    """Returns the mean of the seeds' values, with their deviation if there are several.

    >>> shown([1.0, 2.0]), shown([0.12345678])
    ('1.5 ± 0.7071', '0.1235')
    """
    mean = float(np.mean(values))
    return f"{mean:{digits}} ± {np.std(values, ddof=1):{digits}}" if len(values) > 1 else f"{mean:{digits}}"


def _cells(row: Row, columns: Mapping[str, str]) -> list[str]:
    cells = []
    for column in columns:
        values = row.measured.get(column)
        cells.append("-" if values is None else shown(values))
        if column in row.published:
            cells[-1] += f" ({row.published[column]:g})"
    return cells


def terminal_table(result: Result, title: str) -> Table:
    """Returns the table for the terminal; published values stand in parentheses.

    Args:
      result: what was measured.
      title: of the table.
    """
    heading = f"{title}; {_IN_PARENTHESES}" if _has_published(result) else title
    table = Table(title=heading, title_justify="left")
    table.add_column("setting")
    for column in result.columns.values():
        table.add_column(column, justify="right")
    for row in result.rows:
        table.add_row(row.setting, *_cells(row, result.columns))
    return table


def markdown_table(result: Result, lines: list[str]) -> str:
    """Returns a page of Markdown: lines of introduction, the table, and the claims.

    Args:
      result: what was measured.
      lines: of introduction, the first of which is the title.

    >>> result = Result({"error": "error"}, [Row("PCA", {"error": [0.5]}, {"error": 0.4})], [], dict)
    >>> print(markdown_table(result, ["Title"]))
    # Title
    <BLANKLINE>
    | setting | error |
    | --- | ---: |
    | PCA | 0.5 (0.4) |
    <BLANKLINE>
    Published values in parentheses.
    <BLANKLINE>
    """
    head, *others = lines
    titles = list(result.columns.values())
    page = [f"# {head}", ""]
    for line in others:
        page += [line, ""]
    page += [f"| setting | {' | '.join(titles)} |", f"| --- |{' ---: |' * len(titles)}"]
    page += [f"| {row.setting} | {' | '.join(_cells(row, result.columns))} |" for row in result.rows]
    page += ["", *([f"{_IN_PARENTHESES.capitalize()}.", ""] if _has_published(result) else [])]
    page += claim_lines(result.claims, bullet="- ")
    return "\n".join(page) + ("\n" if result.claims else "")


def _has_published(result: Result) -> bool:
    return any(row.published for row in result.rows)


def as_json(result: Result) -> dict[str, Any]:
    """Returns the rows and claims, for a JSON file."""
    rows = [
        {
            "setting": row.setting,
            "measured": {name: list(map(float, values)) for name, values in row.measured.items()},
            "published": dict(row.published),
        }
        for row in result.rows
    ]
    return {
        "columns": dict(result.columns),
        "rows": rows,
        "claims": [{**claim._asdict(), "held": bool(claim.held)} for claim in result.claims],
    }
