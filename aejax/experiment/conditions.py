"""Conditions of a knob, stored on its field: the values of other knobs without which it would have no effect."""

import dataclasses
import typing
from dataclasses import dataclass
from typing import Any

from aejax.errors import UserError


@dataclass(frozen=True)
class Requires:
    """Metadata of a field: it has an effect only if another knob has one of these values, or a value above 0."""

    knob: str
    values: tuple[str, ...] = ()  # empty: any value above 0, or any sequence that is not empty

    def allows(self, value: Any) -> bool:
        """Returns whether the field has an effect if the other knob has this value."""
        return value in self.values if self.values else bool(value)

    def refusal(self, value: Any) -> str:
        """Returns the error message, without the field's name, for a field that was set although it has no effect."""
        if not self.values:
            return f"requires {self.knob}" if isinstance(value, tuple) else f"requires {self.knob} above 0"
        return f"requires {self.knob} {' or '.join(self.values)}, but the {self.knob} is {value}"


def conditions_of(group: type) -> dict[str, tuple[Requires, ...]]:
    """Returns the conditions of a dataclass's fields, by the field's name; fields without conditions are left out.

    >>> from typing import Annotated
    >>> @dataclass
    ... class Group:
    ...     size: int = 1
    ...     speed: Annotated[float, Requires("size")] = 2.0
    >>> conditions_of(Group)
    {'speed': (Requires(knob='size', values=()),)}
    """
    found = {}
    for name, annotation in typing.get_type_hints(group, include_extras=True).items():
        metadata = getattr(annotation, "__metadata__", ())
        if conditions := tuple(each for each in metadata if isinstance(each, Requires)):
            found[name] = conditions
    return found


def without_effect(*groups: Any) -> dict[str, str]:
    """Returns the knobs that have no effect, each with the reason, as `Requires.refusal` words it.

    Args:
      *groups: dataclasses whose fields are knobs with defaults; a condition may name a field of any of them.
    """
    values = {field.name: getattr(group, field.name) for group in groups for field in dataclasses.fields(group)}
    found: dict[str, str] = {}
    for group in groups:
        for knob, conditions in conditions_of(type(group)).items():
            for condition in conditions:
                if not condition.allows(values[condition.knob]):
                    found.setdefault(knob, condition.refusal(values[condition.knob]))
    return found


def check_conditions(*groups: Any) -> None:
    """Raise UserError, which names the knob, if a knob without effect differs from its default.

    Args:
      *groups: as for `without_effect`.
    """
    unused = without_effect(*groups)
    for group in groups:
        for field in dataclasses.fields(group):
            if field.name in unused and getattr(group, field.name) != field.default:
                raise UserError(f"{field.name}: {unused[field.name]}")
