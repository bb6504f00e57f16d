"""What follows a gradient: the optimizer's step, then what an autoencoder learns without a gradient."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, PyTree

from aejax.autoencoders import Autoencoder
from aejax.autoencoders.learned_state import RESTARTED, STATE, has_state, with_state, without_state
from aejax.training.state import TrainState


def next_state(
    autoencoder: Autoencoder,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    gradient: PyTree,
    statistics: dict[str, Array],
    *,
    examples: int,
) -> TrainState:
    """Returns the state after a step.

    The autoencoder's `update` follows the optimizer's step. Where it has drawn numbers anew (`RESTARTED`), the
    optimizer's running means of them are 0, as before the first step.

    Args:
      autoencoder: its `update` is called, if it has one.
      optimizer: the optimizer that makes the step.
      state: the state before the step.
      gradient: of the parameters that are trained, over the global batch.
      statistics: means over the global batch, handed out by the loss.
      examples: the number of examples of the global batch; `update` receives it as `statistics["examples"]`.
    """
    trained = without_state(autoencoder, state.params)
    updates, opt_state = optimizer.update(gradient, state.opt_state, trained)
    params = with_state(autoencoder, optax.apply_updates(trained, updates), state.params)
    if autoencoder.update is not None:
        params = autoencoder.update(params, {**statistics, "examples": jnp.asarray(examples, jnp.int32)})
        if has_state(autoencoder, params) and RESTARTED in params[STATE]:
            masks = params[STATE][RESTARTED]
            opt_state = _restarted(optimizer, opt_state, without_state(autoencoder, params), masks)
    return TrainState(params, opt_state, state.step + 1, state.key)


def _restarted(
    optimizer: optax.GradientTransformation, opt_state: optax.OptState, trained: PyTree, masks: PyTree
) -> optax.OptState:
    """Returns the optimizer's state with running means of 0 where the masks, of some of the arrays, are true."""
    given: dict[Any, Array] = dict(jax.tree_util.tree_leaves_with_path(masks))
    nowhere = jnp.zeros((), bool)
    whole = jax.tree_util.tree_map_with_path(lambda path, _: given.get(path, nowhere), trained)

    def restart(opt_state: optax.OptState) -> optax.OptState:
        def without(mean: Array, mask: Bool[Array, "..."]) -> Array:
            return jnp.where(mask, jnp.zeros_like(mean), mean)

        return optax.tree_utils.tree_map_params(optimizer, without, opt_state, whole)

    is_any = jnp.any(jnp.stack([jnp.any(mask) for mask in given.values()]))
    return jax.lax.cond(is_any, restart, lambda opt_state: opt_state, opt_state)
