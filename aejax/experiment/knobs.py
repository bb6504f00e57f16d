"""The knobs of an experiment by name, whatever group they are in. Imports no JAX."""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aejax.experiment.configuration import Experiment

GROUPS: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(Experiment)}
GROUP_OF = {knob.name: group for group, kind in GROUPS.items() for knob in dataclasses.fields(kind)}


def with_knobs(experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
    """Returns the experiment with other values of some knobs, which are not checked.

    >>> with_knobs(Experiment(), {"seed": 3, "beta": 2.0}).regularization.beta
    2.0
    """
    for group in GROUPS:
        changed = {knob: value for knob, value in values.items() if GROUP_OF[knob] == group}
        experiment = replace(experiment, **{group: replace(getattr(experiment, group), **changed)})
    return experiment


def value_of(experiment: Experiment, knob: str) -> Any:
    """Returns the value of a knob.

    >>> value_of(Experiment(), "code_size")
    20
    """
    return getattr(getattr(experiment, GROUP_OF[knob]), knob)


def type_of(knob: str) -> Any:
    """Returns the type of a knob's values, without its checks.

    >>> type_of("learning_rate"), type_of("hidden")
    (<class 'float'>, tuple[int, ...])
    """
    return typing.get_type_hints(GROUPS[GROUP_OF[knob]])[knob]


def is_real(knob: str) -> bool:
    """Returns whether the values of a knob are real numbers, or None.

    >>> is_real("clip_norm"), is_real("code_size"), is_real("likelihood")
    (True, False, False)
    """
    kind = type_of(knob)
    return float in (kind, *typing.get_args(kind))


def is_sequence(knob: str) -> bool:
    """Returns whether a value of a knob is a sequence, such as the widths of layers."""
    return typing.get_origin(type_of(knob)) is tuple
