"""A population: one kind of autoencoder in many settings and seeds, trained as a vmapped axis of one compiled step."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, Key, PyTree

from aejax.autoencoders import Autoencoder, Examples
from aejax.autoencoders.record import Metrics
from aejax.checks import as_jax_array, check_count
from aejax.errors import UserError
from aejax.training.devices import AXIS
from aejax.training.entrance import as_examples, check_devices, check_finite, check_optimizer
from aejax.training.state import TrainState, check_parameters_fit, create_state, epoch_order, run_keys
from aejax.training.step import train_step

MEMBERS = "members"  # the name of the axis that they are divided over

Build = Callable[[PyTree], Autoencoder]  # from one member's hyperparameters, traced scalars, to its autoencoder


class Population(NamedTuple):
    """M members, laid out on devices: every leaf is (devices, share, ...), the last places filled by copies."""

    states: TrainState
    hyperparameters: PyTree
    members: int


TrainEpoch = Callable[[Population, Examples | Array | np.ndarray], tuple[Population, dict[str, np.ndarray]]]


def start_population(
    build: Build,
    optimizer: optax.GradientTransformation,
    keys: Key[Array, "M"],
    hyperparameters: PyTree,
    example: Array,
    *,
    devices: Sequence[jax.Device],
) -> Population:
    """The members before the first step; each is what `create_state` gives for its own key and its own autoencoder.

    Args:
      build: from hyperparameters, scalars, to an autoencoder; it is traced, so the settings may enter losses and
        noise, but not shapes.
      optimizer: whose state is made for every member.
      keys: one per member, of its initialization, noise and order of examples; members with equal keys share them.
      hyperparameters: a pytree of arrays (M,).
      example: ONE example, for its shape and dtype.
      devices: which the members are divided among.

    Raises:
      UserError: their parameters would take more memory than there is.
      ValueError: no members, or hyperparameters that are not of one leading axis of length M.

    >>> from aejax.autoencoders import tied, denoising
    >>> from aejax.corruption import masking
    >>> build = lambda amount: denoising(tied((4,), (3,)), corrupt=partial(masking, amount=amount))
    >>> keys = jax.vmap(jax.random.key)(jnp.array([0, 1]))
    >>> population = start_population(
    ...     build, optax.sgd(0.1), keys, jnp.array([0.1, 0.3]), jnp.ones(4), devices=jax.devices()[:1]
    ... )
    >>> train_epoch = make_train_epoch(build, optax.sgd(0.1), batch_size=2, devices=jax.devices()[:1])
    >>> population, metrics = train_epoch(population, jnp.ones((6, 4)))
    >>> metrics["loss"].shape, members_of(population).params["weights"][0].shape
    ((2,), (2, 4, 3))
    """
    check_build(build)
    check_optimizer(optimizer)
    check_devices(devices)
    example = as_jax_array("example", example)
    if jnp.ndim(keys) != 1 or not jnp.issubdtype(keys.dtype, jax.dtypes.prng_key):
        raise TypeError("keys must be a vector of keys, one per member, such as jax.random.split(key, members)")
    members = len(keys)
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(hyperparameters)]
    if not members or any(shape[:1] != (members,) for shape in shapes):
        raise ValueError(f"hyperparameters must be arrays of one value per key, of which there are {members}: {shapes}")

    first = build(jax.tree.map(lambda leaf: leaf[0], hyperparameters))
    check_parameters_fit(first, optimizer, example, members=members)

    def create(key: Array, settings: PyTree) -> TrainState:
        return create_state(build(settings), optimizer, key, example)

    states = jax.jit(jax.vmap(create))(keys, hyperparameters)
    return Population(lay_out(states, devices), lay_out(hyperparameters, devices), members)


def make_train_epoch(
    build: Build,
    optimizer: optax.GradientTransformation,
    *,
    batch_size: int,
    devices: Sequence[jax.Device],
) -> TrainEpoch:
    """Compile `(population, data) -> (population, metrics)`: one epoch of all members, a scan over its steps.

    Every member takes the steps that `aejax.training.train` takes with its key on one device: the same order of
    examples, the same noise, keyed by the key, the step and the place in the batch. What does not fill a batch is left
    out of the epoch. The result does not depend on the number of devices, but for rounding.

    Args:
      build: as for `start_population`.
      optimizer: likewise.
      batch_size: of every member; a batch lies whole on the member's device.
      devices: likewise; each holds all data.

    Returns:
      A function of a population, which is used up, and (N, ...) examples. Metrics are means over the epoch, (M,) each.
      It raises UserError where a batch is larger than the data.
    """
    check_build(build)
    check_optimizer(optimizer)
    check_count("batch_size", batch_size, 0)  # with the data at hand the function says what is possible
    check_devices(devices)

    def epoch(
        state: TrainState, settings: PyTree, order: Int[Array, "S B"], data: Examples | Array
    ) -> tuple[TrainState, Metrics]:
        autoencoder = build(settings)
        # of the axis that a run is spread over there is one place: a member's batch is not divided
        whole_step = jax.vmap(partial(train_step, autoencoder, optimizer), in_axes=(None, 0), axis_name=AXIS)

        def step(state: TrainState, positions: Int[Array, "B"]) -> tuple[TrainState, Metrics]:
            results = whole_step(state, jax.tree.map(lambda part: part[positions][None], data))
            return cast(tuple[TrainState, Metrics], jax.tree.map(lambda result: result[0], results))

        state, metrics = lax.scan(step, state, order)
        return state, jax.tree.map(partial(jnp.mean, axis=0), metrics)

    mapped = jax.pmap(
        jax.vmap(epoch, in_axes=(0, 0, 0, None)), MEMBERS, in_axes=(0, 0, 0, None), devices=devices, donate_argnums=0
    )
    everywhere = NamedSharding(Mesh(np.array(devices), (MEMBERS,)), PartitionSpec())

    def train_epoch(
        population: Population, data: Examples | Array | np.ndarray
    ) -> tuple[Population, dict[str, np.ndarray]]:
        data = as_examples(data)
        examples = len(data.x)
        if not 1 <= batch_size <= examples:
            raise UserError(f"batch_size must be between 1 and the {examples} training examples, got {batch_size}")
        if not collect(population.states.step, population.members).any():
            check_finite(data, "the training examples")
        states, settings = population.states, population.hyperparameters
        orders = lay_out(_orders(population, examples, batch_size), devices)
        states, metrics = mapped(states, settings, orders, jax.device_put(data, everywhere))
        return population._replace(states=states), collect(metrics, population.members)

    return train_epoch


def check_build(build: object) -> None:
    """Raise TypeError for what is no function from hyperparameters to an autoencoder."""
    if not callable(build) or isinstance(build, Autoencoder):
        raise TypeError(f"build must be a function from hyperparameters to an autoencoder, got {build!r}")


def _orders(population: Population, examples: int, batch_size: int) -> Int[np.ndarray, "M S B"]:
    """The positions of the examples of the coming epoch, of every member."""
    order_keys = jax.vmap(jax.vmap(run_keys))(population.states).order
    numbers = collect(jax.random.key_data(order_keys), population.members)
    keys = jax.random.wrap_key_data(numbers, impl=jax.random.key_impl(order_keys))
    steps = examples // batch_size
    epochs = collect(population.states.step, population.members) // steps
    orders = [epoch_order(key, int(epoch), examples) for key, epoch in zip(keys, epochs, strict=True)]
    return np.stack(orders)[:, : steps * batch_size].reshape(population.members, steps, batch_size)


def members_of(population: Population) -> TrainState:
    """The state of every member, each leaf (M, ...), on the host."""
    states = population.states._replace(key=jax.random.key_data(population.states.key))
    return collect(states, population.members)


def lay_out(tree: PyTree, devices: Sequence[jax.Device]) -> PyTree:
    """Arrays (M, ...) as (devices, share, ...), a share on each device; copies of the last member fill the last one."""

    def lay_out_leaf(leaf: Array) -> Array:
        share = -(-len(leaf) // len(devices))
        places = np.minimum(np.arange(len(devices) * share), len(leaf) - 1).reshape(len(devices), share)
        return jnp.asarray(leaf)[places]

    sharding = NamedSharding(Mesh(np.array(devices), (MEMBERS,)), PartitionSpec(MEMBERS))
    return jax.device_put(jax.tree.map(lay_out_leaf, tree), sharding)


def collect(tree: PyTree, members: int) -> PyTree:
    """Arrays (devices, share, ...) as (M, ...) on the host, without the copies."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:members], jax.device_get(tree))
