"""What stands beside every likelihood of a run: which distribution, and how the data were treated."""

import numpy as np

from aejax.datasets.treatment import describe_treatment
from aejax.errors import knob_name
from aejax.experiment.configuration import Data
from aejax.experiment.loading import treatment_of
from aejax.experiment.trained import TrainedRun

_DISCRETE = ("bernoulli", "poisson", "discretized_logistic")  # probabilities; the others are densities


def is_gray_bernoulli(likelihood: str, x: np.ndarray) -> bool:
    """Returns whether a Bernoulli likelihood is evaluated on values between 0 and 1, of which it is no distribution.

    >>> is_gray_bernoulli("bernoulli", np.array([0.0, 0.5])), is_gray_bernoulli("bernoulli", np.array([0.0, 1.0]))
    (True, False)
    """
    return likelihood == "bernoulli" and bool(np.any((x > 0) & (x < 1)))  # NaN is padding


def levels_for_bits(data: Data, likelihood: str) -> int | None:
    """Returns the number of levels for bits per dimension: 1 of a probability; None of a density of raw values.

    >>> levels_for_bits(Data(), "bernoulli"), levels_for_bits(Data(dequantize="uniform"), "gaussian")
    (1, 256)
    """
    if likelihood in _DISCRETE:
        return 1
    return data.levels if data.dequantize == "uniform" else None


def treatment_lines(run: TrainedRun, x: np.ndarray) -> list[str]:
    """Returns a line on the likelihood and the data's treatment, and one if the numbers are no log-likelihoods.

    Args:
      run: the run; without a likelihood and a treatment there is no line.
      x: some test examples, in memory.
    """
    treatment, distributions = treatment_of(run.experiment.data), run.autoencoder.variational
    if distributions is None:
        return [] if treatment.is_identity else [f"data {describe_treatment(treatment)}"]
    name = distributions.likelihood.name
    lines = [f"likelihood {name}; data {describe_treatment(treatment)}"]
    if is_gray_bernoulli(name, x):
        lines.append(
            "the values are gray, and bernoulli is a distribution of bits, so these are no log-likelihoods: use "
            f"{knob_name('binarize')}, or {knob_name('likelihood discretized_logistic')}, continuous_bernoulli or beta"
        )
    return lines
