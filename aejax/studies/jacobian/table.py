"""Tables of a study: means and standard deviations over seeds, and the chosen strength of every method."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from rich.table import Table

from aejax.studies.jacobian.measure import Curves
from aejax.studies.jacobian.methods import METHODS
from aejax.studies.jacobian.settings import METHOD_NAMES, MethodName
from aejax.studies.sweeps.members import Member
from aejax.studies.sweeps.table import Summary

COLUMNS = {  # of the table, in order: field of a measurement -> heading, decimals
    "reconstruction": ("cross-entropy, nats", 2),
    "jacobian_norm": ("mean ‖J‖_F", 3),
    "saturated_percent": ("saturated, %", 1),
    "effective_rank": ("effective rank", 1),
    "probe_error_percent": ("probe error, %", 2),
    "reconstruction_under_noise": ("noise: cross-entropy, nats", 2),
    "probe_error_under_noise_percent": ("noise: probe error, %", 2),
}


def choose(summaries: Sequence[Summary]) -> dict[MethodName, Summary]:
    """Returns the setting of each method with the lowest probe error on the validation split, mean over seeds.

    Ties are resolved by the lower cross-entropy on the validation split. The test split is not used.
    """
    chosen: dict[MethodName, Summary] = {}
    for method in METHOD_NAMES:
        if own := [summary for summary in summaries if summary.setting.knobs["method"] == method]:
            chosen[method] = min(
                own, key=lambda s: (s.mean["validation_probe_error_percent"], s.mean["validation_reconstruction"])
            )
    return chosen


def mean_curves(members: Sequence[Member]) -> Curves:
    """Returns the means over members of their curves."""
    return Curves(*(np.mean([member.arrays[name] for member in members], axis=0) for name in Curves._fields))


def study_table(chosen: Mapping[MethodName, Summary], *, title: str) -> Table:
    """Returns a table of the chosen settings: mean ± standard deviation over seeds."""
    table = Table(title=title, title_justify="left")
    table.add_column("method", no_wrap=True)
    table.add_column("strength", no_wrap=True)
    for heading, _ in COLUMNS.values():
        table.add_column(heading, justify="right", overflow="fold")
    for method, summary in chosen.items():
        cells = [
            with_deviation(summary.mean[field], summary.deviation[field], digits)
            for field, (_, digits) in COLUMNS.items()
        ]
        table.add_row(METHODS[method].title, strength_of(summary), *cells)
    return table


def strength_of(summary: Summary) -> str:
    """Returns the strength as text, such as "λ = 0.1"; empty for a method without one."""
    method, strength = summary.setting.knobs["method"], summary.setting.knobs["strength"]
    return f"{METHODS[method].symbol} = {strength:g}" if METHODS[method].symbol else ""


def with_deviation(mean: float, deviation: float, digits: int) -> str:
    """Returns a mean and its standard deviation as text; the mean only if the deviation is NaN.

    >>> with_deviation(1.25, 0.5, 1), with_deviation(1.25, math.nan, 2)
    ('1.2 ± 0.5', '1.25')
    """
    return f"{mean:.{digits}f}" if math.isnan(deviation) else f"{mean:.{digits}f} ± {deviation:.{digits}f}"
