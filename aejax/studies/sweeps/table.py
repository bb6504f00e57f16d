"""Tables of a sweep: mean and standard deviation over seeds of every term, and the best setting by validation."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from aejax.autoencoders import Term
from aejax.errors import ArgumentError, UserError
from aejax.experiment.report import aligned
from aejax.host.suggestions import unknown
from aejax.studies.sweeps.members import Member
from aejax.studies.sweeps.plan import Setting, shown

HIGHER_IS_BETTER = ("elbo",)
_BY_OWN_MEASURE = ("family", "loss", "likelihood", "output_activation", "standardize", "corruption", "corruption_level")


class Summary(NamedTuple):
    """A setting: mean and standard deviation over its seeds of every term, named train/loss and so on."""

    setting: Setting
    seeds: int
    diverged: int  # the number of seeds with a loss that is not finite; the others are in the means
    mean: dict[str, float]
    deviation: dict[str, float]  # sample standard deviation, with n - 1 in the denominator; NaN for a single seed


def summarize(settings: Sequence[Setting], members: Sequence[Member]) -> list[Summary]:
    """Returns mean and standard deviation over the seeds of every setting, in order."""
    summaries = []
    for position, setting in enumerate(settings):
        own = [member for member in members if member.setting == position]
        good = [member.terms for member in own if not member.diverged]
        values = {term: np.array([terms[term] for terms in good]) for term in (good[0] if good else {})}
        deviation = {term: float(v.std(ddof=1)) if len(v) > 1 else math.nan for term, v in values.items()}
        mean = {term: float(v.mean()) for term, v in values.items()}
        summaries.append(Summary(setting, len(own), len(own) - len(good), mean, deviation))
    return summaries


def measure_of(terms: Sequence[set[str]], choose_by: str | None) -> str:
    """Returns the term that decides which setting is the best.

    Args:
      terms: the names of the loss's terms, of every group.
      choose_by: the user's choice; None for the evidence lower bound, else the reconstruction, else the loss. The first
        two are comparable between weights of other terms, unlike the loss.

    Raises:
      UserError: not every setting has the term.

    >>> measure_of([{"loss", "reconstruction"}, {"loss", "reconstruction", "l1_penalty"}], None)
    'reconstruction'
    """
    common = set.intersection(*terms)
    if choose_by is None:
        return next(term for term in ("elbo", "reconstruction", "loss") if term in common)
    if choose_by not in common:
        raise ArgumentError("choose_by", unknown("term of every setting", choose_by, sorted(common), kinds="terms"))
    return choose_by


def choose(summaries: Sequence[Summary], measure: str) -> Summary:
    """Returns the setting with the best mean of a term on validation examples; test examples are not used.

    Settings with a seed that diverged are left out.

    Raises:
      UserError: a seed of every setting diverged.
    """
    candidates = [summary for summary in summaries if not summary.diverged]
    if not candidates:
        raise UserError("every setting has a seed whose loss is not finite; try a lower learning_rate")
    sign = -1 if measure in HIGHER_IS_BETTER else 1
    return min(candidates, key=lambda summary: sign * summary.mean[f"validation/{measure}"])


def caveat(knobs: Sequence[str], measure: str) -> str | None:
    """Returns a remark if values of a term cannot be compared between settings, because a knob changes what it is.

    >>> caveat(["corruption_level", "beta"], "reconstruction")
    'reconstruction is measured by the corruption_level of each setting itself'
    >>> caveat(["learning_rate"], "loss") is None
    True
    """
    own = [knob for knob in knobs if knob in _BY_OWN_MEASURE]
    if measure == "loss":
        own = [knob for knob in knobs if knob in _BY_OWN_MEASURE or knob.endswith("weight") or knob == "beta"]
    return f"{measure} is measured by the {' and '.join(own)} of each setting itself" if own else None


def member_records(settings: Sequence[Setting], members: Sequence[Member]) -> list[dict[str, Any]]:
    """Returns a flat record for every member; a term that a setting lacks is None."""
    terms = dict.fromkeys(term for member in members for term in member.terms)
    return [
        {
            **{knob: shown(value) for knob, value in settings[member.setting].knobs.items()},
            "seed": member.seed,
            "best_epoch": member.best_epoch,
            "diverged_in_epoch": member.diverged or None,
            **{term: member.terms.get(term) for term in terms},
        }
        for member in members
    ]


def setting_records(summaries: Sequence[Summary], **marked: Sequence[Summary]) -> list[dict[str, Any]]:
    """Returns a flat record for every setting: means, and deviations, which are None for a single seed.

    Args:
      summaries: all settings.
      **marked: column -> the settings that are marked in it, such as the best one.
    """
    terms = dict.fromkeys(term for summary in summaries for term in summary.mean)
    records = []
    for summary in summaries:
        record: dict[str, Any] = {knob: shown(value) for knob, value in summary.setting.knobs.items()}
        record |= {"seeds": summary.seeds, "diverged": summary.diverged}
        record |= {column: any(summary is one for one in own) for column, own in marked.items()}
        for term in terms:
            deviation = summary.deviation.get(term, math.nan)
            record |= {term: summary.mean.get(term), f"{term}_deviation": None if math.isnan(deviation) else deviation}
        records.append(record)
    return records


def sweep_table(summaries: Sequence[Summary], best: Summary, *, title: str, term_of: Callable[[str], Term]) -> Table:
    """Returns a table of every setting: mean ± deviation over seeds of every term on validation examples.

    Args:
      summaries: all settings.
      best: the best one, which is marked.
      title: the title of the table.
      term_of: maps a term to its title and unit.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for knob in best.setting.knobs:
        table.add_column(knob, justify="right", no_wrap=True)
    terms = validation_terms(summaries)
    for term in terms:
        described = term_of(term.removeprefix("validation/"))
        unit = "" if described.unit in ("no unit", "count") else f", {described.unit}"
        table.add_column(described.title + unit, justify="right", overflow="fold")
    columns = [_column(summaries, term) for term in terms]
    for position, summary in enumerate(summaries):
        cells = [column[position] for column in columns]
        if summary.diverged:
            cells = [f"{summary.diverged} of {summary.seeds} diverged", *cells[1:]]
        mark = "best" if summary is best else ""
        table.add_row(mark, *(shown(value) for value in summary.setting.knobs.values()), *cells)
    return table


def validation_terms(summaries: Sequence[Summary]) -> list[str]:
    """Returns the names of all terms on validation examples, of any setting."""
    return list(dict.fromkeys(term for each in summaries for term in each.mean if term.startswith("validation/")))


def _column(summaries: Sequence[Summary], term: str) -> list[str]:
    """Returns a term of every setting as text, with the same number of decimals; empty where it is not defined."""
    rows = aligned([[summary.mean.get(term), _finite(summary.deviation, term)] for summary in summaries])
    return [f"{mean} ± {deviation}" if deviation else mean for mean, deviation in rows]


def _finite(values: Mapping[str, float], term: str) -> float | None:
    value = values.get(term, math.nan)
    return None if math.isnan(value) else value
