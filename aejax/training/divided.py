"""A dictionary whose units, and the optimizer's state of them, are divided over devices, beside the examples."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Key, PyTree

from aejax.autoencoders import Autoencoder, Examples, as_batch, part_names
from aejax.autoencoders.dictionaries.division import axis_of_units
from aejax.autoencoders.learned_state import STATISTICS, split_statistics, without_state
from aejax.autoencoders.record import Metrics
from aejax.errors import UserError
from aejax.training.accumulation import gradient_and_metrics
from aejax.training.devices import AXIS
from aejax.training.state import TrainState, run_keys
from aejax.training.update import next_state

UNITS = "units"  # the name of the mapped axis over which units are divided
DividedStep = Callable[[TrainState, Examples | Array | np.ndarray], tuple[TrainState, Metrics]]


def unit_mesh(devices: Sequence[jax.Device], *, parts: int) -> Mesh:
    """Returns the devices as rows that share a batch, each of `parts` devices that share the units.

    Args:
      devices: all devices.
      parts: the number of devices that hold the dictionary together; a divisor of their number.

    Raises:
      UserError: the devices cannot be divided so.

    >>> dict(unit_mesh(jax.devices()[:4], parts=2).shape)
    {'devices': 2, 'units': 2}
    """
    if parts < 1 or len(devices) % parts:
        raise UserError(f"parts: must be a divisor of the {len(devices)} devices, got {parts}")
    return Mesh(np.array(devices).reshape(-1, parts), (AXIS, UNITS))


def start_divided(
    autoencoder: Autoencoder, optimizer: optax.GradientTransformation, key: Key[Array, ""], example: Array, mesh: Mesh
) -> TrainState:
    """Returns the state before the first step: that of `create_state`, of which each device makes its part alone.

    Args:
      autoencoder: a dictionary whose networks have `units_axis=UNITS`.
      optimizer: the optimizer whose state is initialized.
      key: the key of the whole run.
      example: ONE example, for its shape and dtype.
      mesh: the devices, from `unit_mesh`.

    Raises:
      UserError: the number of units cannot be divided by that of the devices that share them.
    """

    def create(init_key: Array, run_key: Array) -> TrainState:
        params = autoencoder.init(init_key, example)
        opt_state = optimizer.init(without_state(autoencoder, params))
        return TrainState(params, opt_state, jnp.zeros((), jnp.int32), run_key)

    keys = jax.random.split(key)
    specs = _specs_of_state(autoencoder, optimizer, jax.eval_shape(create, *keys), mesh)
    created: TrainState = jax.jit(create, out_shardings=_placed(specs, mesh))(*keys)
    return created


def make_divided_step(
    autoencoder: Autoencoder, optimizer: optax.GradientTransformation, mesh: Mesh, *, accumulation_steps: int = 1
) -> DividedStep:
    """Returns a compiled function `(state, examples) -> (state, metrics)`: the step of `train_step` on a divided state.

    Every device holds its part of the units, of their gradient and of the optimizer's state, and computes with the
    share of the batch that its row of the mesh has. What is selected is equal to the bit to what one device selects
    from the same pre-activations; sums are equal up to rounding error.

    Args:
      autoencoder: a dictionary whose networks have `units_axis=UNITS`; one that is coupled through the batch has
        `axis_name=AXIS`. Its own `encode` and `loss` work under this step alone: a dictionary that is used has the same
        constructor without these axes, and the same parameters.
      optimizer: an Optax gradient transformation.
      mesh: the devices, from `unit_mesh`.
      accumulation_steps: as for `train_step`.

    Raises:
      UserError: the autoencoder resamples units, which needs all of them on one device.
    """
    if "resampled" in part_names(autoencoder.parts):
        raise UserError("resampled: needs all units on one device; dead units of top_k learn by its auxiliary loss")

    def gradient_of_share(params: PyTree, key: Array, step: Array, examples: Examples) -> tuple[PyTree, Metrics]:
        batch = as_batch(examples)
        first = lax.axis_index(AXIS) * len(batch.x)
        batch = batch._replace(indices=first + batch.indices, step=step)
        found = gradient_and_metrics(autoencoder, params, key, batch, microbatches=accumulation_steps)
        mean: tuple[PyTree, Metrics] = lax.pmean(found, AXIS)
        return mean

    @partial(jax.jit, donate_argnums=0)
    def step(state: TrainState, examples: Examples) -> tuple[TrainState, Metrics]:
        specs = _specs_of_state(autoencoder, optimizer, state, mesh)
        gradient_and_terms = jax.shard_map(
            gradient_of_share,
            mesh=mesh,
            in_specs=(specs.params, PartitionSpec(), PartitionSpec(), PartitionSpec(AXIS)),
            out_specs=(without_state(autoencoder, specs.params), _specs_of_metrics(autoencoder, state, examples)),
            check_vma=False,  # the two functions of `division` say what each device adds to a gradient
        )
        noise_key = jax.random.fold_in(run_keys(state).noise, state.step)
        gradient, metrics = gradient_and_terms(state.params, noise_key, state.step, examples)
        terms, statistics = split_statistics(metrics)
        state = next_state(autoencoder, optimizer, state, gradient, statistics, examples=len(examples.x))
        return lax.with_sharding_constraint(state, _placed(specs, mesh)), terms

    def step_on(state: TrainState, examples: Examples | Array | np.ndarray) -> tuple[TrainState, Metrics]:
        examples = examples if isinstance(examples, Examples) else Examples(jnp.asarray(examples))
        if len(examples.x) % mesh.shape[AXIS]:
            raise UserError(f"a batch of {len(examples.x)} examples cannot be divided over {mesh.shape[AXIS]} devices")
        result: tuple[TrainState, Metrics] = step(
            state, jax.device_put(examples, NamedSharding(mesh, PartitionSpec(AXIS)))
        )
        return result

    return step_on


def bytes_per_device(
    autoencoder: Autoencoder, optimizer: optax.GradientTransformation, example: Any, *, parts: int
) -> int:
    """Returns the bytes of parameters, gradient and optimizer's state that each of `parts` devices holds.

    Args:
      autoencoder: a dictionary.
      optimizer: its optimizer.
      example: ONE example, or its shape and dtype.
      parts: the number of devices that hold the dictionary together.

    >>> from aejax.autoencoders import top_k
    >>> example = jax.ShapeDtypeStruct((4096,), jnp.float32)
    >>> counts = [bytes_per_device(top_k(4096, 131_072, k=32), optax.adam(1e-4), example, parts=p) for p in (1, 8, 64)]
    >>> [round(count / 2**30, 2) for count in counts]
    [16.0, 2.0, 0.25]
    """
    params = jax.eval_shape(autoencoder.init, jax.random.key(0), example)
    trained = without_state(autoencoder, params)
    specs = _specs(params)
    of_trained = without_state(autoencoder, specs)
    opt_state = jax.eval_shape(optimizer.init, trained)
    of_optimizer = _specs_of_optimizer(optimizer, opt_state, of_trained)
    total = 0
    for tree, tree_specs in ((params, specs), (trained, of_trained), (opt_state, of_optimizer)):
        leaves = zip(jax.tree.leaves(tree), jax.tree.leaves(tree_specs, is_leaf=_is_spec), strict=True)
        for leaf, spec in leaves:
            size = math.prod(leaf.shape) * leaf.dtype.itemsize
            total += -(-size // parts) if UNITS in tuple(spec) else size
    return total


def _specs_of_metrics(autoencoder: Autoencoder, state: TrainState, examples: Examples) -> dict[str, Any]:
    """Returns how the metrics of a loss are divided, by its terms on axes of length 1."""

    def metrics(examples: Examples) -> Metrics:
        return autoencoder.loss(state.params, state.key, as_batch(examples))[1]

    lifted = jax.vmap(jax.vmap(metrics, axis_name=UNITS), axis_name=AXIS)
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, 1, 1, *leaf.shape[1:]), leaf.dtype), examples)
    found: dict[str, Any] = jax.eval_shape(lifted, one)
    specs: dict[str, Any] = dict.fromkeys(found, PartitionSpec())
    of_one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[2:], leaf.dtype), found[STATISTICS])
    return {**specs, STATISTICS: _specs(of_one)}


def _specs(tree: PyTree) -> PyTree:
    """Returns how each array of parameters or statistics is divided."""

    def spec(path: tuple[Any, ...], leaf: Any) -> PartitionSpec:
        axis = axis_of_units(tuple(str(entry.key) for entry in path), leaf)
        return PartitionSpec() if axis is None else PartitionSpec(*(None,) * axis, UNITS)

    return jax.tree_util.tree_map_with_path(spec, tree)


def _specs_of_optimizer(optimizer: optax.GradientTransformation, opt_state: PyTree, of_trained: PyTree) -> PyTree:
    return optax.tree_utils.tree_map_params(
        optimizer, lambda _, spec: spec, opt_state, of_trained, transform_non_params=lambda _: PartitionSpec()
    )


def _specs_of_state(
    autoencoder: Autoencoder, optimizer: optax.GradientTransformation, state: TrainState, mesh: Mesh
) -> TrainState:
    """Returns how each array of a state is divided.

    Raises:
      UserError: the number of units cannot be divided by that of the devices that share them.
    """
    specs, parts = _specs(state.params), mesh.shape[UNITS]
    units = state.params["state"]["silent"].shape[0]
    if units % parts:
        raise UserError(f"{units:,} units cannot be divided over {parts} devices: use a multiple of {parts}")
    of_optimizer = _specs_of_optimizer(optimizer, state.opt_state, without_state(autoencoder, specs))
    everywhere: Any = PartitionSpec()
    return TrainState(specs, of_optimizer, everywhere, everywhere)


def _placed(specs: PyTree, mesh: Mesh) -> PyTree:
    return jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs, is_leaf=_is_spec)


def _is_spec(value: object) -> bool:
    return isinstance(value, PartitionSpec)
