"""Checks that the estimates of a log-likelihood are numbers."""

import numpy as np
from jaxtyping import Float, Int


def check_finite_weights(log_likelihood: Float[np.ndarray, "N"], positions: Int[np.ndarray, "N"]) -> None:
    """Raise ValueError, which names the first example, unless all estimates are finite.

    >>> check_finite_weights(np.array([-1.0, np.inf]), np.array([10, 11]))
    Traceback (most recent call last):
    ...
    ValueError: log p(x) of example 11 is inf: a density of the model is not finite, as where the decoder's variance ...
    """
    if (wrong := ~np.isfinite(log_likelihood)).any():
        first = int(np.argmax(wrong))
        raise ValueError(
            f"log p(x) of example {positions[first]} is {log_likelihood[first]:g}: a density of the model is not "
            "finite, as where the decoder's variance is 0"
        )
