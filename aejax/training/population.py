"""Populations: an autoencoder in many settings and seeds, trained as a vmapped axis of one compiled step."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, Key, PyTree

from aejax.augmentation import Augmentation
from aejax.autoencoders import Autoencoder, Examples
from aejax.autoencoders.record import Metrics
from aejax.checks import as_jax_array, check_count
from aejax.errors import UserError
from aejax.training.devices import AXIS
from aejax.training.entrance import accepts_missing, as_examples, check_devices, check_finite, check_optimizer
from aejax.training.state import TrainState, check_parameters_fit, create_state, epoch_order, run_keys
from aejax.training.step import train_step

MEMBERS = "members"  # the name of the axis over which members are split

Build = Callable[[PyTree], Autoencoder]  # from one member's hyperparameters, traced scalars, to its autoencoder
Optimizer: TypeAlias = (
    optax.GradientTransformation | Callable[[PyTree], optax.GradientTransformation]
)  # or of one member


class Population(NamedTuple):
    """M members on devices: every leaf is (devices, share, ...), padded with copies of the last member."""

    states: TrainState
    hyperparameters: PyTree
    members: int


TrainEpoch = Callable[[Population, Examples | Array | np.ndarray], tuple[Population, dict[str, np.ndarray]]]


def start_population(
    build: Build,
    optimizer: Optimizer,
    keys: Key[Array, "M"],
    hyperparameters: PyTree,
    *example: Array,
    devices: Sequence[jax.Device],
) -> Population:
    """Returns the members before the first step; each is initialized by `create_state` with its own key.

    Args:
      build: maps hyperparameters, scalars, to an autoencoder; it is traced, so that losses and noise can depend on the
        hyperparameters, but shapes cannot.
      optimizer: the optimizer whose state is initialized for every member, or a function from hyperparameters, such as
        the learning rate, to a member's optimizer, which is traced like `build`.
      keys: one key per member, for its initialization, noise and order of examples; members may have equal keys.
      hyperparameters: a pytree of arrays (M,).
      *example: ONE example, for its shape and dtype, and its condition for a conditional autoencoder.
      devices: the devices that the members are split over.

    Raises:
      UserError: the members would exceed the available memory.
      ValueError: there are no members, or hyperparameters are not arrays with a leading axis of length M.
      TypeError: keys is not a vector of typed keys, or another argument has the wrong type.

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
    check_optimizer_of_members(optimizer)
    check_devices(devices)
    example = tuple(as_jax_array(name, value) for name, value in zip(("example", "condition"), example, strict=False))
    if jnp.ndim(keys) != 1 or not jnp.issubdtype(keys.dtype, jax.dtypes.prng_key):
        raise TypeError("keys must be a vector of keys, one per member, such as jax.random.split(key, members)")
    members = len(keys)
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(hyperparameters)]
    if not members or any(shape[:1] != (members,) for shape in shapes):
        raise ValueError(f"hyperparameters must hold one value per key, for {members} keys, got shapes {shapes}")

    first = jax.tree.map(lambda leaf: leaf[0], hyperparameters)
    check_parameters_fit(build(first), _optimizer_of(optimizer, first), *example, members=members)

    def create(key: Array, settings: PyTree) -> TrainState:
        return create_state(build(settings), _optimizer_of(optimizer, settings), key, *example)

    states = jax.jit(jax.vmap(create))(keys, hyperparameters)
    return Population(lay_out(states, devices), lay_out(hyperparameters, devices), members)


def make_train_epoch(
    build: Build,
    optimizer: Optimizer,
    *,
    batch_size: int,
    devices: Sequence[jax.Device],
    augment: Augmentation | None = None,
    accumulation_steps: int = 1,
) -> TrainEpoch:
    """Returns a compiled function `(population, data) -> (population, metrics)`: one epoch of all members.

    Every member has the steps that `aejax.training.train` takes with its key on one device: the same order of examples
    and the same noise, keyed by the key, the step and the position in the batch. The last incomplete batch is dropped.
    Up to rounding error, the result does not depend on the number of devices.

    Args:
      build: the function of `start_population`.
      optimizer: the optimizer of `start_population`.
      batch_size: the size of every member's batch, which is not split over devices.
      devices: the devices of `start_population`; each holds all data.
      augment: as for `aejax.training.train`.
      accumulation_steps: as for `aejax.training.train`.

    Returns:
      A function of a population, whose buffers are donated, and (N, ...) examples. Metrics are means over the epoch,
      (M,) each. It raises UserError if a batch is larger than the data.

    Raises:
      TypeError: an argument has the wrong type.
    """
    check_build(build)
    check_optimizer_of_members(optimizer)
    check_count("batch_size", batch_size, 0)  # the function, which knows the data, reports the allowed range
    check_devices(devices)

    def epoch(
        state: TrainState, settings: PyTree, order: Int[Array, "S B"], data: Examples | Array
    ) -> tuple[TrainState, Metrics]:
        step_of_member = partial(
            train_step,
            build(settings),
            _optimizer_of(optimizer, settings),
            augment=augment,
            accumulation_steps=accumulation_steps,
        )
        # the axis over which `train` splits a batch has length 1: a member's batch is not split
        step_on_one_device = jax.vmap(step_of_member, in_axes=(None, 0), axis_name=AXIS)

        def step(state: TrainState, positions: Int[Array, "B"]) -> tuple[TrainState, Metrics]:
            results = step_on_one_device(state, jax.tree.map(lambda leaf: leaf[positions][None], data))
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
            first = jax.tree.map(lambda leaf: leaf[0, 0], population.hyperparameters)
            check_finite(data, "the training examples", missing=accepts_missing(build(first)))
        states, settings = population.states, population.hyperparameters
        orders = lay_out(_orders(population, examples, batch_size), devices)
        states, metrics = mapped(states, settings, orders, jax.device_put(data, everywhere))
        return population._replace(states=states), collect(metrics, population.members)

    return train_epoch


def check_build(build: object) -> None:
    """Raise TypeError unless build is a function from hyperparameters to an autoencoder."""
    if not callable(build) or isinstance(build, Autoencoder):
        raise TypeError(f"build must be a function from hyperparameters to an autoencoder, got {build!r}")


def check_optimizer_of_members(optimizer: object) -> None:
    """Raise TypeError unless the argument is an Optax optimizer, or a function from hyperparameters to one."""
    if not callable(optimizer):
        check_optimizer(optimizer)


def _optimizer_of(optimizer: Optimizer, hyperparameters: PyTree) -> optax.GradientTransformation:
    return optimizer(hyperparameters) if callable(optimizer) else optimizer


def _orders(population: Population, examples: int, batch_size: int) -> Int[np.ndarray, "M S B"]:
    """Returns the positions of every member's examples in the next epoch."""
    order_keys = jax.vmap(jax.vmap(run_keys))(population.states).order
    numbers = collect(jax.random.key_data(order_keys), population.members)
    keys = jax.random.wrap_key_data(numbers, impl=jax.random.key_impl(order_keys))
    steps = examples // batch_size
    epochs = collect(population.states.step, population.members) // steps
    orders = [epoch_order(key, int(epoch), examples) for key, epoch in zip(keys, epochs, strict=True)]
    return np.stack(orders)[:, : steps * batch_size].reshape(population.members, steps, batch_size)


def members_of(population: Population) -> TrainState:
    """Returns the states of all members on the host, each leaf (M, ...); keys are returned as their data."""
    states = population.states._replace(key=jax.random.key_data(population.states.key))
    return collect(states, population.members)


def lay_out(tree: PyTree, devices: Sequence[jax.Device]) -> PyTree:
    """Returns arrays (M, ...) as (devices, share, ...), one share on each device, padded with the last member."""

    def lay_out_leaf(leaf: Array) -> Array:
        share = -(-len(leaf) // len(devices))
        members = np.minimum(np.arange(len(devices) * share), len(leaf) - 1).reshape(len(devices), share)
        return jnp.asarray(leaf)[members]

    sharding = NamedSharding(Mesh(np.array(devices), (MEMBERS,)), PartitionSpec(MEMBERS))
    return jax.device_put(jax.tree.map(lay_out_leaf, tree), sharding)


def collect(tree: PyTree, members: int) -> PyTree:
    """Returns arrays (devices, share, ...) as (M, ...) on the host, without the padding."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:members], jax.device_get(tree))
