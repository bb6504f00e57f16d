"""Rate and distortion of a sweep over β: the settings on the lower hull, and the figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from aejax.evaluation.rate_distortion import RateDistortion, lower_hull, rate_and_distortion
from aejax.plots import rate_distortion_plane
from aejax.studies.sweeps.members import Member
from aejax.studies.sweeps.plan import shown
from aejax.studies.sweeps.table import Summary

_KNOB = "beta"


def on_hull(summaries: Sequence[Summary]) -> list[Summary]:
    """Returns the settings of a sweep over β on the lower hull of mean rates and distortions of validation examples.

    There are none in a sweep without values of β, or of autoencoders without rate and distortion. Settings with a seed
    that diverged are left out.
    """
    points = _points_of(summaries)
    if not points:
        return []
    rates, distortions = np.array([point for _, point in points]).T
    return [points[place][0] for place in lower_hull(rates, distortions)]


def draw_rate_distortion(summaries: Sequence[Summary], members: Sequence[Member]) -> Figure | None:
    """Returns the figure of a sweep over β: every run, the means of settings and their hull; None without a hull.

    Args:
      summaries: all settings of the sweep.
      members: all runs of the sweep.
    """
    settings = [summary for summary, _ in _points_of(summaries)]
    if not settings:
        return None
    hull = on_hull(summaries)
    runs = np.array([_runs_of(summary, summaries, members) for summary in settings])
    data = settings[0].setting.experiment.data.dataset
    varied = [knob for knob in settings[0].setting.knobs if knob != _KNOB]
    return rate_distortion_plane(
        runs[..., 0],
        runs[..., 1],
        hull=np.array([place for place, summary in enumerate(settings) if any(summary is one for one in hull)]),
        names=[_name_of(summary, varied) for summary in settings],
        title=f"{data}: rate and distortion of validation examples",
    )


def _points_of(summaries: Sequence[Summary]) -> list[tuple[Summary, RateDistortion]]:
    """Returns the settings with rate and distortion; none for a sweep of one setting or without values of β."""
    if len(summaries) < 2 or _KNOB not in summaries[0].setting.knobs:
        return []
    found = [(summary, rate_and_distortion(summary.mean)) for summary in summaries if not summary.diverged]
    return [(summary, point) for summary, point in found if point is not None]


def _runs_of(summary: Summary, summaries: Sequence[Summary], members: Sequence[Member]) -> list[RateDistortion]:
    position = next(place for place, one in enumerate(summaries) if one is summary)
    points = (rate_and_distortion(member.terms) for member in members if member.setting == position)
    return [point for point in points if point is not None]


def _name_of(summary: Summary, varied: Sequence[str]) -> str:
    knobs = summary.setting.knobs
    return ", ".join(
        [f"β {shown(knobs[_KNOB])}", *(f"{knob.replace('_', ' ')} {shown(knobs[knob])}" for knob in varied)]
    )
