"""The list of a dictionary's units in the latent explorer."""

from typing import Any

import numpy as np

from aejax.datasets.dataset import Dataset
from aejax.evaluation.dictionaries import firing_rates, nearest_units
from aejax.experiment.dictionary_units import is_dictionary, units_of_run
from aejax.experiment.trained import TrainedRun

_MAX_UNITS = 100  # most active and rarest units, each


def units_as_json(run: TrainedRun, test: Dataset) -> dict[str, Any] | None:
    """Returns the units of a run's dictionary as the explorer lists them; None for any other run.

    Args:
      run: the run.
      test: the test examples in the page.

    Returns:
      The number of dead units, and of at most 200 units, the most active and the rarest that fire, in decreasing order
      of their firing rates: the unit from 0, its rate, the positions of its top examples in `test`, their codes, and
      its neighbors with their cosines.
    """
    if not is_dictionary(run):
        return None
    units = units_of_run(run, test)
    order, rates = units.by_rate, firing_rates(units.counts)
    listed = order if len(order) <= 2 * _MAX_UNITS else np.concatenate([order[:_MAX_UNITS], order[-_MAX_UNITS:]])
    near = nearest_units(units.directions.reshape(len(units.directions), -1), listed)
    rows = [
        {
            "unit": int(unit),
            "rate": float(rates[unit]),
            "examples": [int(place) for place in units.top.examples[unit] if place >= 0],
            "codes": [float(code) for code in units.top.values[unit] if code > 0],
            "neighbors": others.tolist(),
            "cosines": cosines.tolist(),
        }
        for unit, others, cosines in zip(listed, near.units, near.cosines, strict=True)
    ]
    return {"live": len(order), "dead": len(rates) - len(order), "rows": rows}
