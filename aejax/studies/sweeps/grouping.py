"""Groups of a sweep: settings that one compiled step trains at once, because JAX can trace the knobs that differ."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from aejax.autoencoders import Examples
from aejax.experiment.build import build_augmentation, build_autoencoder
from aejax.experiment.job import Job
from aejax.experiment.knobs import GROUP_OF, is_real, value_of, with_knobs
from aejax.experiment.loading import example_of
from aejax.experiment.optimizers import build_optimizer
from aejax.studies.sweeps.plan import Setting
from aejax.training.devices import AXIS
from aejax.training.state import create_state
from aejax.training.step import train_step

_OF_LOSS_AND_OPTIMIZER = (
    "model",
    "dictionary",
    "regularization",
    "optimization",
)  # groups whose knobs a step depends on


class Group(NamedTuple):
    """Settings that are trained as one population."""

    settings: tuple[int, ...]  # their positions among all settings
    traced: tuple[str, ...]  # the knobs that differ among them


def make_groups(settings: Sequence[Setting], can_trace: Callable[[Setting, str], bool]) -> list[Group]:
    """Returns the groups of settings, in order of their first setting.

    Settings of a group differ only in real numbers that are traced. A weight of 0 leaves its term out, and None
    disables a knob, so these are in other groups than numbers above 0.

    Args:
      settings: all settings of a sweep.
      can_trace: whether a knob can be traced in a setting, as by `can_be_traced`.
    """
    first = settings[0].experiment
    knobs = [knob for knob in GROUP_OF if any(value_of(s.experiment, knob) != value_of(first, knob) for s in settings)]
    numbers = [knob for knob in knobs if GROUP_OF[knob] in _OF_LOSS_AND_OPTIMIZER and is_real(knob)]
    found: dict[Any, list[int]] = {}
    for position, setting in enumerate(settings):
        found.setdefault(_structure(setting, knobs, numbers), []).append(position)
    groups = []
    for positions in found.values():
        one = settings[positions[0]]
        traced = tuple(knob for knob in numbers if value_of(one.experiment, knob) and can_trace(one, knob))
        finer: dict[Any, list[int]] = {}
        for position in positions:
            finer.setdefault(_structure(settings[position], knobs, traced), []).append(position)
        groups += [Group(tuple(own), traced) for own in finer.values()]
    return sorted(groups)


def _structure(setting: Setting, knobs: Sequence[str], numbers: Sequence[str]) -> tuple[Any, ...]:
    """Returns what settings of a group have in common: the values of the knobs, but of numbers whether they are 0."""
    values = ((knob, value_of(setting.experiment, knob)) for knob in knobs)
    return tuple(True if knob in numbers and value else value for knob, value in values)


def can_be_traced(job: Job, knob: str) -> bool:
    """Returns whether a training step can be compiled for any value of a knob: whether JAX can trace it.

    A knob is traced by trial, so that one of a new regularizer needs no entry anywhere. One whose value decides shapes,
    that Python computes with, or that a step does not depend on, cannot be traced.

    Args:
      job: the job of a setting.
      knob: a knob that is a real number in it.
    """
    batch = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((1, 1, *leaf.shape[1:]), leaf.dtype), job.examples("validation")
    )

    def trial(value: Array, batch: Examples) -> PyTree:
        build, optimizer = constructors_of(job, (knob,))
        state = create_state(
            build({knob: value}),
            optimizer({knob: value}),
            jax.random.key(0),
            *map(jnp.asarray, example_of(job.experiment.model, job.facts)),
        )
        step = partial(
            train_step,
            build({knob: value}),
            optimizer({knob: value}),
            augment=build_augmentation(job.experiment.data),
        )
        return jax.vmap(step, in_axes=(None, 0), axis_name=AXIS)(state, batch)

    try:
        jaxpr = jax.make_jaxpr(trial)(jax.ShapeDtypeStruct((), jnp.float32), batch).jaxpr
    except TypeError:  # as JAX raises for a traced value, and a function that expects a number of Python
        return False
    value = jaxpr.invars[0]
    return any(variable is value for equation in jaxpr.eqns for variable in equation.invars)


def constructors_of(job: Job, traced: Sequence[str]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Returns functions from values of the traced knobs to a member's autoencoder, and to its optimizer."""
    if not traced:
        return lambda values: job.autoencoder, lambda values: job.optimizer
    examples = len(job.splits.train.x)

    def build(values: dict[str, Array]) -> Any:
        return build_autoencoder(with_knobs(job.experiment, values), job.facts)

    def optimizer(values: dict[str, Array]) -> Any:
        return build_optimizer(with_knobs(job.experiment, values), examples)

    return build, optimizer
