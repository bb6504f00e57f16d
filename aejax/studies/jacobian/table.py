"""Tables of a study: means and standard deviations over seeds, and the chosen strength of every method."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from rich.table import Table

from aejax.studies.jacobian.measure import Curves, Measurement
from aejax.studies.jacobian.methods import METHODS
from aejax.studies.jacobian.settings import METHOD_NAMES, MethodName

COLUMNS = {  # of the table, in order: field of a measurement -> heading, decimals
    "reconstruction": ("cross-entropy, nats", 2),
    "jacobian_norm": ("mean ‖J‖_F", 3),
    "saturated_percent": ("saturated, %", 1),
    "effective_rank": ("effective rank", 1),
    "probe_error_percent": ("probe error, %", 2),
    "reconstruction_under_noise": ("noise: cross-entropy, nats", 2),
    "probe_error_under_noise_percent": ("noise: probe error, %", 2),
}


class Member(NamedTuple):
    """One trained autoencoder."""

    method: MethodName
    strength: float
    seed: int
    measurement: Measurement
    curves: Curves
    weights: np.ndarray  # (inputs, units)


class Setting(NamedTuple):
    """A method at one strength: mean and standard deviation over its seeds."""

    method: MethodName
    strength: float
    seeds: int
    mean: Measurement
    deviation: Measurement  # sample standard deviation, with n - 1 in the denominator; NaN for a single seed


def summarize(members: Sequence[Member]) -> list[Setting]:
    """Returns mean and standard deviation over the seeds of every setting, in order of first appearance."""
    groups: dict[tuple[MethodName, float], list[Measurement]] = {}
    for member in members:
        groups.setdefault((member.method, member.strength), []).append(member.measurement)
    settings = []
    for (method, strength), group in groups.items():
        values = np.array(group, np.float64)
        deviation = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1], math.nan)
        mean = Measurement(*map(float, values.mean(axis=0)))
        settings.append(Setting(method, strength, len(group), mean, Measurement(*map(float, deviation))))
    return settings


def choose(settings: Sequence[Setting]) -> dict[MethodName, Setting]:
    """Returns the setting of each method with the lowest probe error on the validation split, mean over seeds.

    Ties are resolved by the lower cross-entropy on the validation split. The test split is not used.
    """
    chosen: dict[MethodName, Setting] = {}
    for method in METHOD_NAMES:
        if own := [setting for setting in settings if setting.method == method]:
            chosen[method] = min(
                own, key=lambda s: (s.mean.validation_probe_error_percent, s.mean.validation_reconstruction)
            )
    return chosen


def mean_curves(members: Sequence[Member], chosen: Mapping[MethodName, Setting]) -> dict[MethodName, Curves]:
    """Returns the curves of each method at its chosen strength, means over seeds."""
    means = {}
    for method, setting in chosen.items():
        own = [member.curves for member in members if (member.method, member.strength) == (method, setting.strength)]
        means[method] = Curves(*(np.mean(field, axis=0) for field in zip(*own, strict=True)))
    return means


def member_records(members: Sequence[Member]) -> list[dict[str, object]]:
    """Returns one flat record per member."""
    return [{"method": m.method, "strength": m.strength, "seed": m.seed, **m.measurement._asdict()} for m in members]


def setting_records(settings: Sequence[Setting], chosen: dict[MethodName, Setting]) -> list[dict[str, object]]:
    """Returns one flat record per setting: means, and standard deviations, which are None for a single seed."""
    return [
        {"method": s.method, "strength": s.strength, "chosen": chosen[s.method] is s, "seeds": s.seeds}
        | {
            f"{field}{suffix}": None if math.isnan(value) else value
            for field in Measurement._fields
            for suffix, value in (("", getattr(s.mean, field)), ("_deviation", getattr(s.deviation, field)))
        }
        for s in settings
    ]


def study_table(chosen: dict[MethodName, Setting], *, title: str) -> Table:
    """Returns a table of the chosen settings: mean ± standard deviation over seeds."""
    table = Table(title=title, title_justify="left")
    table.add_column("method", no_wrap=True)
    table.add_column("strength", no_wrap=True)
    for heading, _ in COLUMNS.values():
        table.add_column(heading, justify="right", overflow="fold")
    for setting in chosen.values():
        cells = [
            with_deviation(getattr(setting.mean, field), getattr(setting.deviation, field), digits)
            for field, (_, digits) in COLUMNS.items()
        ]
        table.add_row(METHODS[setting.method].title, strength_of(setting), *cells)
    return table


def strength_of(setting: Setting) -> str:
    """Returns the strength as text, such as "λ = 0.1"; empty for a method without one."""
    symbol = METHODS[setting.method].symbol
    return f"{symbol} = {setting.strength:g}" if symbol else ""


def with_deviation(mean: float, deviation: float, digits: int) -> str:
    """Returns a mean and its standard deviation as text; the mean only if the deviation is NaN.

    >>> with_deviation(1.25, 0.5, 1), with_deviation(1.25, math.nan, 2)
    ('1.2 ± 0.5', '1.25')
    """
    return f"{mean:.{digits}f}" if math.isnan(deviation) else f"{mean:.{digits}f} ± {deviation:.{digits}f}"
