"""What an autoencoder learns without a gradient: counters, thresholds, running means, as a part of its parameters.

An autoencoder whose record has an `update` may keep such arrays in `params["state"]`. They have no gradient and no
optimizer state; weight decay and clipping do not see them. Its loss hands out what they are learned from,
`metrics["statistics"]`: a dictionary of floating-point arrays, each a mean over the examples of the batch. The training
step averages it over microbatches and devices, adds the number of examples of the global batch, and calls
`update(params, statistics)` after the optimizer's step. Since the state is a part of the parameters, checkpoints, the
best parameters, exports and populations hold it too.

A state may hold `restarted`: a dictionary with some of the entries of the other parameters, each a mask that can be
broadcast to the array it stands for. Where a mask is true, the training step sets the optimizer's running means to 0,
as they were before the first step: these numbers have been drawn anew.
"""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Array, PyTree

from aejax.autoencoders.record import Autoencoder, Metrics

STATE = "state"
STATISTICS = "statistics"
RESTARTED = "restarted"


def without_state(autoencoder: Autoencoder, params: PyTree) -> PyTree:
    """Returns the parameters that an optimizer trains.

    >>> import jax, jax.numpy as jnp
    >>> from aejax.autoencoders import top_k
    >>> autoencoder = top_k(3, 8, k=2)
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones(3))
    >>> sorted(params), sorted(without_state(autoencoder, params))
    (['decoder', 'encoder', 'state'], ['decoder', 'encoder'])
    """
    if not has_state(autoencoder, params):
        return params
    return {name: value for name, value in params.items() if name != STATE}


def with_state(autoencoder: Autoencoder, trained: PyTree, params: PyTree) -> PyTree:
    """Returns trained parameters with the state of other parameters, those that they were trained from."""
    return {**trained, STATE: params[STATE]} if has_state(autoencoder, params) else trained


def split_statistics(metrics: Metrics) -> tuple[Metrics, dict[str, Array]]:
    """Returns the terms of a loss, and the statistics that it hands out.

    >>> split_statistics({"loss": 1.0, "statistics": {"firing_rate": 0.5}})
    ({'loss': 1.0}, {'firing_rate': 0.5})
    """
    terms = dict(metrics)
    statistics: Any = terms.pop(STATISTICS, {})
    return terms, statistics


def has_state(autoencoder: Autoencoder, params: PyTree) -> bool:
    """Returns whether parameters hold a state beside what is trained."""
    return autoencoder.update is not None and isinstance(params, Mapping) and STATE in params
