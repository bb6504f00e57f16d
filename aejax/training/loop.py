"""The training loop: an iterator of reports. It prints nothing and writes nothing; who iterates does."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Key, PyTree

from aejax.autoencoders import Autoencoder, Examples
from aejax.errors import UserError
from aejax.likelihoods import check_support
from aejax.training.devices import check_batch_size, choose_devices, choose_steps_per_call, places_here, replicate
from aejax.training.early_stopping import EarlyStopping, is_over, observe
from aejax.training.evaluate import make_evaluate
from aejax.training.state import TrainState, create_state, run_keys
from aejax.training.step import make_train_steps


class NonFiniteLossError(UserError):
    """Training or validation loss became NaN or infinite: names the terms and the step."""


class Snapshot(NamedTuple):
    """Where a run stands between two steps; a run goes on from it as if it had never stopped."""

    state: TrainState
    best_params: PyTree  # of the evaluation with the best validation loss
    stopping: EarlyStopping
    sums: dict[str, float]  # of every training metric over the steps since the last evaluation
    steps_summed: int


class Report(NamedTuple):
    """What has happened since the last report. The snapshot is valid until the next report is asked for."""

    snapshot: Snapshot
    step: int  # steps taken so far
    epoch: float  # epochs taken so far
    images: int  # trained on since the last report
    loss: float  # of training, mean since the last report
    evaluation: dict[str, float] | None  # means named train/... and validation/..., where an evaluation was due
    finished: bool


def start(
    autoencoder: Autoencoder,
    optimizer: optax.GradientTransformation,
    key: Key[Array, ""],
    *example: Array,
) -> Snapshot:
    """The snapshot before the first step; arguments as for `create_state`."""
    state = create_state(autoencoder, optimizer, key, *example)
    return Snapshot(state, jax.tree.map(jnp.copy, state.params), EarlyStopping(), {}, 0)


def train(
    autoencoder: Autoencoder,
    optimizer: optax.GradientTransformation,
    snapshot: Snapshot,
    train_x: Examples | Array | np.ndarray,
    validation_x: Examples | Array | np.ndarray,
    *,
    batch_size: int,
    epochs: int,
    evaluate_every: int = 1,
    patience: int | None = None,
    min_delta: float = 0.0,
    devices: Sequence[jax.Device] | None = None,
    steps_per_call: int | None = None,
) -> Iterator[Report]:
    """Train from a snapshot until `epochs` epochs are full or patience ends, and report after every compiled call.

    Every epoch takes the examples in a new order that follows from the snapshot's key, in batches of `batch_size`;
    what does not fill a batch is left out of that epoch. The result depends neither on the number of devices nor on
    how the steps are divided into calls, but for rounding.

    Several processes that have met (`aejax.training.distributed`) each call this with equal arguments and train as one:
    a global batch is spread over the devices of all, and the reports of all are equal. Each process holds all examples
    and takes its share of every batch from them, so that the order of an epoch is the one that one process would take.

    Args:
      autoencoder: whose loss is minimized.
      optimizer: an Optax gradient transformation.
      snapshot: from `start`, or of an earlier report. Its state is used up.
      train_x: (N, ...) examples, held on every device of every process; as `Examples` where they are pairs of clean
        and noisy, or have conditions.
      validation_x: (M, ...) examples, likewise.
      batch_size: of the global batch; a multiple of the number of devices.
      epochs: how many in all, those before the snapshot counted in.
      evaluate_every: epochs between evaluations; the last epoch is always evaluated.
      patience: evaluations in a row without improvement after which training ends; None never ends it.
      min_delta: what validation loss must fall by to count as an improvement.
      devices: all by default, those of every process where there are several.
      steps_per_call: steps in one compiled call; by default as `choose_steps_per_call` says.

    Raises:
      UserError: a batch size that does not fit the data or the devices, or examples that the likelihood cannot explain.
      NonFiniteLossError: a term of the loss is NaN or infinite.
    """
    devices = choose_devices(None) if devices is None else list(devices)
    here = places_here(devices)
    first_leaf = jax.tree.leaves(train_x)[0]
    check_batch_size(batch_size, len(first_leaf), len(devices))
    if autoencoder.likelihood is not None:
        for name, part in (("the training examples", train_x), ("the validation examples", validation_x)):
            x = np.asarray(jax.tree.leaves(part)[0])
            check_support(autoencoder.likelihood, x, name, advice="scale them, or take another likelihood")
    steps_per_epoch = len(first_leaf) // batch_size
    if steps_per_call is None:
        steps_per_call = choose_steps_per_call(autoencoder, snapshot.state.params, train_x, devices[0])
    train_steps = make_train_steps(autoencoder, optimizer, devices)
    evaluate = make_evaluate(autoencoder, batch_size=batch_size, devices=devices)
    snapshot = snapshot._replace(state=replicate(snapshot.state, devices))
    train_x, validation_x = replicate((train_x, validation_x), devices)
    order_key, evaluation_key = run_keys(snapshot.state)
    step = int(snapshot.state.step)

    def is_finished(stopping: EarlyStopping) -> bool:
        return step >= epochs * steps_per_epoch or is_over(stopping, patience=patience)

    order, order_epoch = np.empty(0, np.int32), -1
    while not is_finished(snapshot.stopping):
        epoch, offset = divmod(step, steps_per_epoch)
        if epoch != order_epoch:
            order, order_epoch = _epoch_order(order_key, epoch, len(first_leaf)), epoch
        calls_left = -(-(steps_per_epoch - offset) // steps_per_call)
        steps = -(-(steps_per_epoch - offset) // calls_left)
        positions = order[offset * batch_size : (offset + steps) * batch_size]
        positions = positions.reshape(steps, len(devices), -1).swapaxes(0, 1)[here]
        state, metrics = train_steps(snapshot.state, train_x, positions)
        metrics = jax.device_get(metrics)
        _check_finite(metrics, first_step=step + 1)
        step += steps
        sums = {name: snapshot.sums.get(name, 0.0) + float(np.sum(v, dtype=np.float64)) for name, v in metrics.items()}
        snapshot = snapshot._replace(state=state, sums=sums, steps_summed=snapshot.steps_summed + steps)
        evaluation = None
        epoch, offset = divmod(step, steps_per_epoch)
        if offset == 0 and (epoch % evaluate_every == 0 or epoch == epochs):
            validation = evaluate(state.params, evaluation_key, validation_x)
            _check_finite({name: np.array([value]) for name, value in validation.items()}, first_step=step)
            evaluation = {f"train/{name}": value / snapshot.steps_summed for name, value in sums.items()}
            evaluation |= {f"validation/{name}": value for name, value in validation.items()}
            snapshot = _after_evaluation(snapshot, validation["loss"], epoch, min_delta)
        yield Report(
            snapshot,
            step,
            step / steps_per_epoch,
            steps * batch_size,
            float(np.mean(metrics["loss"], dtype=np.float64)),
            evaluation,
            is_finished(snapshot.stopping),
        )


def check_parameters(state: TrainState) -> None:
    """Raise NonFiniteLossError where a finite loss has had a gradient that is not, and the parameters are spoiled."""
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state.params)):
        raise NonFiniteLossError(
            f"training stopped at step {int(state.step)}, whose parameters are not finite; "
            "a lower learning rate or gradient clipping may help"
        )


def _epoch_order(order_key: Array, epoch: int, examples: int) -> np.ndarray:
    key = jax.random.fold_in(order_key, epoch)
    return np.asarray(jax.random.permutation(key, examples), np.int32)


def _after_evaluation(snapshot: Snapshot, loss: float, epoch: int, min_delta: float) -> Snapshot:
    stopping = observe(snapshot.stopping, loss=loss, epoch=epoch, min_delta=min_delta)
    improved = stopping.evaluations_since == 0
    # a copy, since the next step uses the buffers of the state up
    best_params = jax.tree.map(jnp.copy, snapshot.state.params) if improved else snapshot.best_params
    return snapshot._replace(best_params=best_params, stopping=stopping, sums={}, steps_summed=0)


def _check_finite(metrics: dict[str, np.ndarray], *, first_step: int) -> None:
    finite = {name: np.isfinite(values) for name, values in metrics.items()}
    if all(values.all() for values in finite.values()):
        return
    at = int(np.argmin(np.all(list(finite.values()), axis=0)))
    terms = [name for name in finite if not finite[name][at] and name != "loss"] or ["loss"]
    broken = ", ".join(f"{name} is {metrics[name][at]}" for name in terms)
    raise NonFiniteLossError(
        f"training stopped at step {first_step + at}, whose loss is not finite: {broken}; "
        "a lower learning rate or gradient clipping may help"
    )
