"""What a knob goes with, on the field that it is: where another knob has another value, it would have no effect."""

import dataclasses
import typing
from dataclasses import dataclass
from typing import Any

from aejax.errors import UserError


@dataclass(frozen=True)
class GoesWith:
    """Metadata of a field: it is used only where another knob has one of these values, or any above 0."""

    knob: str
    values: tuple[str, ...] = ()  # none: a weight above 0

    def allows(self, value: Any) -> bool:
        """Whether the field is used where the other knob has this value."""
        return value in self.values if self.values else bool(value)

    def refusal(self, value: Any) -> str:
        """What is said of a field that was given where the other knob has this value."""
        if not self.values:
            return f"goes with a {self.knob} above 0"
        return f"goes with {self.knob} {' or '.join(self.values)}, and the {self.knob} is {value}"


def conditions_of(group: type) -> dict[str, tuple[GoesWith, ...]]:
    """Returns the conditions of every field of a dataclass that has some, by its name.

    >>> from typing import Annotated
    >>> @dataclass
    ... class Group:
    ...     size: int = 1
    ...     speed: Annotated[float, GoesWith("size")] = 2.0
    >>> conditions_of(Group)
    {'speed': (GoesWith(knob='size', values=()),)}
    """
    found = {}
    for name, annotation in typing.get_type_hints(group, include_extras=True).items():
        metadata = getattr(annotation, "__metadata__", ())
        if conditions := tuple(each for each in metadata if isinstance(each, GoesWith)):
            found[name] = conditions
    return found


def check_conditions(*groups: Any) -> None:
    """Raise UserError, naming the knob, where one was given that would have no effect.

    Args:
      *groups: dataclasses whose fields are knobs, with a default each; conditions may name fields of all of them.
    """
    values = {field.name: getattr(group, field.name) for group in groups for field in dataclasses.fields(group)}
    defaults = {field.name: field.default for group in groups for field in dataclasses.fields(group)}
    for group in groups:
        for knob, conditions in conditions_of(type(group)).items():
            if values[knob] == defaults[knob]:
                continue
            for condition in conditions:
                if not condition.allows(values[condition.knob]):
                    raise UserError(f"{knob}: {condition.refusal(values[condition.knob])}")
