"""Maps parts of an autoencoder to the knobs that add them, so that an error about a part can name the knob."""

import typing
from dataclasses import dataclass


@dataclass(frozen=True)
class AddsPart:
    """Metadata of a field: the name of the part that it adds; {} in the name is replaced by the field's value."""

    name: str


def knob_of_part(part: str, *groups: type) -> str:
    """Returns the knob that adds a part, with its value if it is a choice; the part's name if no knob adds it.

    Args:
      part: the part's name.
      *groups: dataclasses whose fields are knobs.

    >>> from typing import Annotated, Literal
    >>> @dataclass
    ... class Group:
    ...     prior: Annotated[Literal["normal", "vamp"], AddsPart("{}_prior")] = "normal"
    ...     sparse_weight: Annotated[float, AddsPart("sparse")] = 0.0
    >>> knob_of_part("vamp_prior", Group), knob_of_part("sparse", Group), knob_of_part("mine", Group)
    ('prior vamp', 'sparse_weight', 'mine')
    """
    for group in groups:
        for knob, annotation in typing.get_type_hints(group, include_extras=True).items():
            for adds in getattr(annotation, "__metadata__", ()):
                if not isinstance(adds, AddsPart):
                    continue
                if adds.name == part:
                    return knob
                for choice in typing.get_args(annotation.__origin__):
                    if adds.name.format(choice) == part:
                        return f"{knob} {choice}"
    return part
