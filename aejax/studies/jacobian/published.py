"""Comparison with the paper on contractive autoencoders: its Table 1, and which of its claims hold.

Source: S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, Table 1 and
sections 5.2 to 5.4; MNIST, 1000 sigmoid units, tied weights, cross-entropy.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from rich.table import Table

from aejax.studies.claims import Claim
from aejax.studies.jacobian.measure import Curves
from aejax.studies.jacobian.methods import METHODS
from aejax.studies.jacobian.settings import MethodName
from aejax.studies.sweeps.table import Summary


class Published(NamedTuple):
    """A row of Table 1."""

    test_error_percent: float  # of a classifier that is fine-tuned from the encoder
    jacobian_norm: float  # before fine-tuning, in a unit that the paper does not explain: compare ratios only
    saturated_percent: float


TABLE: dict[MethodName, Published] = {
    "cae": Published(1.14, 0.73e-4, 86.36),
    "dae-gaussian": Published(1.18, 0.86e-4, 17.77),
    "weight-decay": Published(1.68, 5.00e-4, 12.97),
    "dae-masking": Published(1.57, 7.87e-4, 68.19),
    "ae": Published(1.78, 17.5e-4, 49.90),
}
_CURVES: tuple[tuple[MethodName, str, bool], ...] = (
    ("cae", "the CAE's contraction ratio first rises with the distance, then falls", True),
    ("dae-gaussian", "the Gaussian DAE's contraction ratio only falls", False),
)
RISE = 1.01  # a contraction curve rises if its maximum exceeds this multiple of its first value


def comparison_table(chosen: Mapping[MethodName, Summary], *, title: str) -> Table:
    """Returns a table of published and measured values, ordered by the published ‖J‖_F.

    Args:
      chosen: the setting of every method at its chosen strength; absent methods are shown as "-".
      title: of the table.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("method", no_wrap=True)
    for quantity in ("‖J‖_F", "‖J‖_F over AE's", "saturated, %", "test error, %"):
        table.add_column(
            f"published: {quantity}{', fine-tuned' if quantity.startswith('test') else ''}", justify="right"
        )
        table.add_column(
            f"measured: {quantity}{', linear probe' if quantity.startswith('test') else ''}", justify="right"
        )
    for method, paper in TABLE.items():
        own = chosen[method].mean if method in chosen else None
        ratio = own["jacobian_norm"] / chosen["ae"].mean["jacobian_norm"] if own and "ae" in chosen else None
        cells = (
            (paper.jacobian_norm, own and own["jacobian_norm"], ".3g"),
            (paper.jacobian_norm / TABLE["ae"].jacobian_norm, ratio, ".3f"),
            (paper.saturated_percent, own and own["saturated_percent"], ".2f"),
            (paper.test_error_percent, own and own["probe_error_percent"], ".2f"),
        )
        table.add_row(
            METHODS[method].title,
            *("-" if value is None else f"{value:{form}}" for *pair, form in cells for value in pair),
        )
    return table


def claims(chosen: Mapping[MethodName, Summary], curves: Mapping[MethodName, Curves]) -> list[Claim]:
    """Returns the paper's claims and whether they held; claims about absent methods are omitted.

    Args:
      chosen: the setting of every method at its chosen strength, from `aejax.studies.jacobian.table.choose`.
      curves: of every method at that strength, means over its seeds.
    """
    own = {method: chosen[method].mean for method in TABLE if method in chosen}
    norms = {method: own[method]["jacobian_norm"] for method in own}
    result = []

    def extreme(text: str, method: MethodName, field: str, *, least: bool) -> None:
        if method not in own or len(own) < 2:
            return
        sign = 1 if least else -1
        rival = min((name for name in own if name != method), key=lambda name: sign * own[name][field])
        pair = (method, rival)
        first, second = (own[name][field] for name in pair)
        measured = ", ".join(f"{METHODS[name].title} {own[name][field]:.3g}" for name in pair)
        if abs(first - second) < math.hypot(*(chosen[name].deviation[field] for name in pair)):
            measured += ": the difference is within the deviation over seeds"
        result.append(Claim(text, sign * first < sign * second, measured))

    extreme("the CAE has the smallest ‖J‖_F", "cae", "jacobian_norm", least=True)
    extreme("the AE has the largest ‖J‖_F", "ae", "jacobian_norm", least=False)
    if len(own) > 2:
        order = sorted(norms, key=norms.__getitem__)
        result.append(
            Claim(
                f"the order by ‖J‖_F is {_listed([method for method in TABLE if method in own])}",
                order == [method for method in TABLE if method in own],
                _listed(order),
            )
        )
    extreme("the CAE saturates the most units", "cae", "saturated_percent", least=False)
    extreme("the AE with weight decay saturates the fewest units", "weight-decay", "saturated_percent", least=True)
    extreme("the CAE's features classify best", "cae", "probe_error_percent", least=True)
    extreme("the AE's features classify worst", "ae", "probe_error_percent", least=False)
    extreme(
        "the CAE's Jacobian has the fewest large singular values, by effective rank",
        "cae",
        "effective_rank",
        least=True,
    )
    for method, text, rises in _CURVES:
        if method in curves:
            contraction = curves[method].contraction
            ratio = contraction / contraction[0]
            peak = int(np.argmax(ratio))
            rose = bool(ratio[peak] > RISE)
            measured = (
                f"relative to small distances: maximum {ratio[peak]:.2f}, at the largest distance {ratio[-1]:.2f}"
            )
            result.append(Claim(text, rose == rises and bool(ratio[-1] < ratio[peak]), measured))
    return result


def _listed(methods: list[MethodName]) -> str:
    return " < ".join(METHODS[method].title for method in methods)
