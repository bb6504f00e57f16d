"""Upgrades documents of older versions in a run folder, by one pure function per version."""

from collections.abc import Callable, Sequence
from typing import Any

from aejax.errors import UserError

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]  # from the content of one version to that of the next


def unchanged(content: dict[str, Any]) -> dict[str, Any]:
    """Returns the content unchanged: the next version only adds fields, whose defaults keep the old behavior."""
    return content


def upgraded(
    content: Any, field: str, upgrades: Sequence[Upgrade], *, oldest: int, name: str, missing: int | None = None
) -> dict[str, Any]:
    """Returns the content of a document, upgraded to the current version, without the version field.

    Args:
      content: the parsed JSON document.
      field: the name of the version field.
      upgrades: the upgrade from every version before the current one, oldest first; the current version is `oldest`
        plus their number.
      oldest: the first version.
      name: what error messages call the document.
      missing: the version of a document without the version field; None to refuse such a document.

    Raises:
      UserError: the document is not an object, or its version is missing, invalid or newer than the current version.

    >>> double = lambda content: {"size": 2 * content["size"]}
    >>> upgraded({"size": 3}, "schema", (double, unchanged), oldest=0, name="x.json", missing=0)
    {'size': 6}
    >>> upgraded({"schema": 1, "size": 3}, "schema", (double, unchanged), oldest=0, name="x.json")
    {'size': 3}
    """
    present = oldest + len(upgrades)
    if not isinstance(content, dict):
        raise UserError(f"{name}: must be an object with {field} {present}, got a JSON document of another kind")
    version = content.get(field, missing)
    if type(version) is not int or version < oldest:
        raise UserError(f"{name}: {field}: must be a whole number from {oldest} to {present}, got {version!r}")
    if version > present:
        raise UserError(
            f"{name}: {field}: is {version}, and this version of aejax reads up to {present}; use a newer aejax"
        )
    content = {key: value for key, value in content.items() if key != field}
    for upgrade in upgrades[version - oldest :]:
        content = upgrade(content)
    return content
