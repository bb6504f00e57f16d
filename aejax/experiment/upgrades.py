"""Documents of earlier versions in a run folder, brought to the present one by one pure function per version."""

from collections.abc import Callable, Sequence
from typing import Any

from aejax.errors import UserError

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]  # the content of a version to that of the next one


def unchanged(content: dict[str, Any]) -> dict[str, Any]:
    """Returns the content as it is: the next version has more fields, and their defaults are what was done before."""
    return content


def upgraded(
    content: Any, field: str, upgrades: Sequence[Upgrade], *, oldest: int, name: str, missing: int | None = None
) -> dict[str, Any]:
    """Returns the content of a document as the present version has it, without the version itself.

    Args:
      content: of the document, as JSON holds it.
      field: in which the version stands.
      upgrades: of every version before the present one, oldest first; the present version follows from their number.
      oldest: the first version.
      name: what messages begin with.
      missing: the version of a document that names none; None refuses such a document.

    Raises:
      UserError: no object, or a version that is newer than the present one or none at all.

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
