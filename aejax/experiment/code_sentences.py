"""Sentences about the statistics of a run's codes, with units, for the terminal and for pages."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from aejax.errors import knob_name
from aejax.evaluation import MEASURES, Measure, is_collapsed
from aejax.evaluation.codes import ACTIVE_VARIANCE
from aejax.evaluation.disentanglement import TITLES

_PREFIX = "test/code/"
_DESCRIBED = (  # measures with words of their own
    *("units", "active_units", "nonzero_fraction", "frobenius_norm", "saturation"),
    *("kl", "mutual_information", "mutual_information_limit"),
)


def code_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the statistics of the test examples' codes in a run's last record, by the name of the measure.

    >>> code_of({"epoch": 3, "test/code/units": 2, "test/code/kl/1": 0.5, "test/code/kl/2": 1.5})
    {'units': 2, 'kl': array([0.5, 1.5])}
    """
    code: dict[str, Any] = {}
    for term, value in record.items():
        if term.startswith(_PREFIX):
            name, _, unit = term.removeprefix(_PREFIX).partition("/")
            code[name] = [*code.get(name, []), value] if unit else value
    return {name: np.array(value) if isinstance(value, list) else value for name, value in code.items()}


def other_measures(code: Mapping[str, Any]) -> Iterator[tuple[Measure, str]]:
    """Yields the measures of a code that have no words of their own, each with its value or its values' range.

    >>> [(measure.name, value) for measure, value in other_measures({"units": 3})]
    []
    """
    for measure in MEASURES:
        if measure.name in code and measure.name not in (*_DESCRIBED, *TITLES):
            values = code[measure.name]
            yield measure, f"from {np.min(values):.3g} to {np.max(values):.3g}" if np.ndim(values) else f"{values:.3g}"


def code_sentences(code: Mapping[str, Any]) -> list[str]:
    """Returns sentences about the statistics of codes, and a warning if the posterior has collapsed.

    Args:
      code: statistics of the test examples' codes, by the name of the measure; some may be missing.

    >>> code_sentences({"units": 10, "active_units": 9, "nonzero_fraction": 0.25})
    ['9 of the 10 code units vary over the test examples.', '25 % of all entries of the codes are not 0.']
    """
    sentences = []
    if {"units", "active_units"} <= code.keys():
        active = f"{code['active_units']:,} of the {code['units']:,} code units"
        is_posterior = "mutual_information" in code
        sentences.append(
            f"{active} are active: the variance of their posterior mean over the test examples is above "
            f"{ACTIVE_VARIANCE:g}."
            if is_posterior
            else f"{active} vary over the test examples."
        )
    if code.get("nonzero_fraction", 1) < 1:
        sentences.append(f"{100 * code['nonzero_fraction']:.0f} % of all entries of the codes are not 0.")
    if "saturation" in code:
        sentences.append(
            f"{100 * code['saturation']:.0f} % of all entries are saturated, at a limit of the activation."
        )
    if "frobenius_norm" in code:
        norm = f"{code['frobenius_norm']:.3g}"
        sentences.append(f"The Frobenius norm of the encoder's Jacobian is {norm} per unit of data, on average.")
    if "mutual_information" in code:
        bound = f"The codes hold at least {code['mutual_information']:.2f} nats of information about the example"
        limit = code.get("mutual_information_limit")
        sentences.append(
            f"{bound}." if limit is None else f"{bound}; this bound cannot exceed {limit:.2f} nats, log N."
        )
    if "kl" in code:
        low, high, total = code["kl"].min(), code["kl"].max(), code["kl"].sum()
        by_unit = f"from {low:.3f} to {high:.3f} nats per unit"
        sentences.append(f"The posterior's divergence from the prior is {total:.2f} nats, {by_unit}.")
    for measure, shown in other_measures(code):
        unit = "" if measure.unit in ("no unit", "count") else f" {measure.unit}"
        sentences.append(f"{measure.title[:1].upper()}{measure.title[1:]}: {shown}{unit}.")
    if scores := [f"{title} {code[name]:.3f}" for name, title in TITLES.items() if name in code]:
        sentences.append(f"Disentanglement of the known factors: {', '.join(scores)}.")
    if {"units", "active_units", "mutual_information"} <= code.keys() and is_collapsed(code):
        sentences.append(
            "The posterior has collapsed: the decoder ignores nearly all of the code. A smaller "
            f"{knob_name('beta')}, {knob_name('beta_schedule linear')} or {knob_name('free_bits')} may help."
        )
    return sentences
