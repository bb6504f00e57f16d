"""The exact mean of every loss term over all examples, of every member of a population."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, Key, PyTree

from aejax.autoencoders import Examples, as_batch
from aejax.autoencoders.learned_state import split_statistics
from aejax.autoencoders.record import Metrics
from aejax.precision import at_least_single
from aejax.training.devices import AXIS
from aejax.training.entrance import as_examples
from aejax.training.population import MEMBERS, Build, Population, collect
from aejax.training.state import run_keys

EvaluatePopulation = Callable[[Population, PyTree, Examples], dict[str, np.ndarray]]


def make_evaluate_population(build: Build, *, batch_size: int, devices: Sequence[jax.Device]) -> EvaluatePopulation:
    """Returns a compiled function `(population, params, examples) -> means` of every loss term over all N examples.

    A member's means are those of `aejax.training.make_evaluate` on one device: the same noise, keyed by the member's
    key and an example's position, and the same batches for terms that are coupled through the batch.

    Args:
      build: the function of `start_population`.
      batch_size: the size of a batch of one member.
      devices: the devices of the population; each holds all examples.

    Returns:
      A function of a population, for its keys and hyperparameters; of parameters laid out like the population's, such
      as the best ones; and of examples. The means are (M,) float64 by the name of the term.
    """

    def sums(
        params: PyTree,
        key: Key[Array, ""],
        settings: PyTree,
        data: Examples,
        positions: Int[Array, "S B"],
        weights: Float[Array, "S B"],
    ) -> Metrics:
        autoencoder = build(settings)

        def metrics_of(position: Int[Array, "B"], weight: Float[Array, "B"]) -> Metrics:
            examples = jax.tree.map(lambda leaf: leaf[position], data)
            batch = as_batch(examples)._replace(indices=position, weight=weight)
            return split_statistics(autoencoder.loss(params, key, batch)[1])[0]

        def step(carry: None, batch: tuple[Array, Array]) -> tuple[None, Metrics]:
            position, weight = batch
            # the axis over which `make_evaluate` splits a batch has length 1: a member's batch is not split
            mean = jax.vmap(metrics_of, axis_name=AXIS)(position[None], weight[None])
            return carry, jax.tree.map(lambda value: value[0].astype(weight.dtype) * jnp.sum(weight), mean)

        return lax.scan(step, None, (positions, weights))[1]

    in_axes = (0, 0, 0, None, None, None)
    mapped = jax.pmap(jax.vmap(sums, in_axes=in_axes), MEMBERS, in_axes=in_axes, devices=devices)
    everywhere = NamedSharding(Mesh(np.array(devices), (MEMBERS,)), PartitionSpec())

    def evaluate(population: Population, params: PyTree, data: Examples) -> dict[str, np.ndarray]:
        data = as_examples(data)
        examples, dtype = len(data.x), data.x.dtype
        size = min(batch_size, examples)
        batches = -(-examples // size)
        positions = np.arange(batches * size, dtype=np.int32).reshape(batches, size)
        weight_dtype = at_least_single(dtype) if jnp.issubdtype(dtype, jnp.floating) else np.dtype(np.float32)
        weights = (positions < examples).astype(weight_dtype)
        positions = np.where(positions < examples, positions, 0)
        keys = jax.vmap(jax.vmap(run_keys))(population.states).evaluation
        data = jax.device_put(data, everywhere)
        of_batches = mapped(params, keys, population.hyperparameters, data, positions, weights)
        totals = collect(of_batches, population.members)
        return {
            name: np.asarray(np.sum(values, axis=1, dtype=np.float64) / examples) for name, values in totals.items()
        }

    return evaluate
