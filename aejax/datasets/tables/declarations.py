"""The user's declarations of a table's columns, in a JSON file or one text a column."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from aejax.errors import UserError, knob_name
from aejax.host.files import read_text
from aejax.host.schema import parse_json
from aejax.host.suggestions import did_you_mean, unknown

DeclaredKind = Literal[
    "continuous", "log_normal", "count", "binary", "categorical", "ordinal", "date", "identifier", "leave_out"
]
KINDS: tuple[DeclaredKind, ...] = get_args(DeclaredKind)
_OF_CLASSES = ("binary", "categorical", "ordinal")
_TEXT = re.compile(rf"(?P<name>.+?)=(?P<kind>{'|'.join(KINDS)})(?::(?P<detail>.+))?", re.DOTALL)
_MAX_BYTES = 2**26  # of a file


@dataclass(frozen=True)
class Declaration:
    """What the user declares of one column."""

    kind: DeclaredKind
    """What the column holds; identifier and leave_out leave it out."""
    classes: tuple[str, ...] | None = None
    """binary, categorical, ordinal: the texts of classes 0, 1, ..., in order; None: those of the training rows."""
    format: str | None = None
    """date: its form, such as %d/%m/%Y; None: one of the common forms."""
    place: str = ""
    """Where it is declared, for messages."""


def read_declarations(entries: Sequence[str]) -> dict[str, Declaration]:
    """Returns the declarations in JSON files and texts, by the column's name; later ones replace earlier ones.

    Args:
      entries: each a .json file, or a text such as `Lot Area=log_normal`, `Garage Qual=ordinal:Po,Fa,TA,Gd,Ex` or
        `sold=date:%d/%m/%Y`. A file holds an object such as {"Lot Area": "log_normal", "Garage Qual": {"kind":
        "ordinal", "classes": ["Po", "Fa", "TA", "Gd", "Ex"]}, "sold": {"kind": "date", "format": "%d/%m/%Y"}}.

    Raises:
      UserError: a file cannot be read, or a declaration is invalid; the message names the column.

    >>> read_declarations(["Quality=ordinal:low,high"])["Quality"].classes
    ('low', 'high')
    """
    declared: dict[str, Declaration] = {}
    for entry in entries:
        if Path(entry).suffix.lower() == ".json" and "=" not in Path(entry).name:
            content = parse_json(read_text(Path(entry), limit=_MAX_BYTES), name=entry)
            if not isinstance(content, dict):
                raise UserError(
                    f'{entry}: expected an object with the names of columns, as in {{"area": "log_normal"}}'
                )
            declared |= declarations_of(content, name=entry)
        else:
            declared |= _parse(entry)
    return declared


def declarations_of(content: Mapping[str, Any], *, name: str) -> dict[str, Declaration]:
    """Returns declarations by column.

    Args:
      content: the name of a column -> its kind, or a dictionary with `kind` and (optional) `classes` or `format`.
      name: what messages call the declarations.

    Raises:
      UserError: a declaration is invalid.

    >>> declarations_of({"area": "log_normal"}, name="columns.json")["area"].kind
    'log_normal'
    """
    return {column: _declaration(value, f"{name}: column {column!r}") for column, value in content.items()}


def check_columns(declared: Mapping[str, Declaration], columns: Sequence[str], name: str) -> None:
    """Raise UserError, with the most similar name, for a declaration of a column that the table `name` lacks."""
    for column, declaration in declared.items():
        if column not in columns:
            raise UserError(f"{declaration.place}: there is no such column in {name}{did_you_mean(column, columns)}")


def _parse(entry: str) -> dict[str, Declaration]:
    where = knob_name("columns")
    match = _TEXT.fullmatch(entry)
    if match is None:
        name, equals, kind = entry.rpartition("=")
        if equals and name:
            raise UserError(f"{where}: column {name!r}: {unknown('kind', kind, KINDS, kinds='kinds')}")
        raise UserError(
            f"{where}: expected a .json file or COLUMN=KIND, as in area=log_normal, got {entry!r}; the kinds are "
            f"{', '.join(KINDS)}"
        )
    content: dict[str, Any] = {"kind": match["kind"]}
    if match["detail"] is not None:
        detail: Any = match["detail"] if match["kind"] == "date" else match["detail"].split(",")
        content["format" if match["kind"] == "date" else "classes"] = detail
    return declarations_of({match["name"]: content}, name=where)


def _declaration(value: Any, place: str) -> Declaration:
    content = {"kind": value} if isinstance(value, str) else value
    if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
        raise UserError(f'{place}: expected a kind, or an object with "kind" and "classes" or "format", got {value!r}')
    kind, classes, form = content["kind"], content.get("classes"), content.get("format")
    if kind not in KINDS:
        raise UserError(f"{place}: {unknown('kind', kind, KINDS, kinds='kinds')}")
    if wrong := sorted(set(content) - {"kind", "classes", "format"}):
        raise UserError(f"{place}: {unknown('entry', wrong[0], ('kind', 'classes', 'format'), kinds='entries')}")
    if classes is not None:
        if kind not in _OF_CLASSES:
            raise UserError(f"{place}: only {', '.join(_OF_CLASSES)} columns have classes, got kind {kind}")
        if not isinstance(classes, list | tuple) or not all(type(text) in (str, int) for text in classes):
            raise UserError(f"{place}: classes must be a list of texts, got {classes!r}")
        classes = tuple(str(text).strip() for text in classes)
        if len(set(classes)) < len(classes) or len(classes) < 2 or (kind == "binary" and len(classes) != 2):
            count = "two" if kind == "binary" else "at least two"
            raise UserError(f"{place}: classes must be {count} different texts, got {', '.join(map(repr, classes))}")
    if form is not None and (kind != "date" or not isinstance(form, str) or "%" not in form):
        raise UserError(f"{place}: format must be that of a date, such as %d/%m/%Y, got {form!r}")
    return Declaration(kind, classes, form, place)
