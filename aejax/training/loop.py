"""The training loop: an iterator of reports. It prints and writes nothing; that is up to the caller."""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Key, PyTree

from aejax.augmentation import Augmentation
from aejax.autoencoders import Autoencoder, Examples, part_names
from aejax.checks import as_array, check_count, check_in_range
from aejax.errors import UserError
from aejax.likelihoods import check_support
from aejax.training.accumulation import check_accumulation
from aejax.training.devices import check_batch_size, choose_devices, local_indices, replicate, shard
from aejax.training.early_stopping import EarlyStopping, is_exhausted, update
from aejax.training.entrance import (
    accepts_missing,
    as_examples,
    check_autoencoder,
    check_conditions,
    check_counts,
    check_devices,
    check_finite,
    check_optimizer,
    check_validation,
)
from aejax.training.evaluate import make_evaluate
from aejax.training.plan import choose_plan
from aejax.training.state import TrainState, create_state, epoch_order, run_keys
from aejax.training.step import compiled_steps
from aejax.training.streaming import ADVICE, gather, in_memory, on_host, prefetch

_UNIT_SCALE = 10.0  # the initial weights of networks are made for inputs of about 1
_MAX_EXAMPLES_CHECKED = 1000  # training examples whose range is read for an error message


class NonFiniteLossError(UserError):
    """Raised if the training or validation loss is NaN or infinite; the message names the terms and the step."""


class Snapshot(NamedTuple):
    """The state of a run between two steps; training continued from it gives the same result as without a stop."""

    state: TrainState
    best_params: PyTree  # the parameters at the evaluation with the lowest validation loss
    stopping: EarlyStopping
    sums: dict[str, float]  # of every training metric over the steps since the last evaluation
    steps_summed: int


class Report(NamedTuple):
    """The progress since the last report. The snapshot is valid until the next report is requested."""

    snapshot: Snapshot
    step: int  # the number of steps so far
    epoch: float  # the number of epochs so far
    examples: int  # the number of examples trained on since the last report
    loss: float  # the mean training loss since the last report
    evaluation: dict[str, float] | None  # means named train/... and validation/...; None if no evaluation was due
    finished: bool
    evaluating: bool = False  # whether an evaluation is in progress; the snapshot is that before the evaluation


def start(
    autoencoder: Autoencoder,
    optimizer: optax.GradientTransformation,
    key: Key[Array, ""],
    *example: Array,
) -> Snapshot:
    """Returns the snapshot before the first step.

    Args:
      autoencoder: the autoencoder whose parameters are initialized.
      optimizer: the optimizer whose state is initialized.
      key: the key of the whole run: initialization, noise and order of the examples follow from it.
      *example: ONE example, for its shape and dtype, and its condition for a conditional autoencoder.

    Raises:
      UserError: the parameters and the optimizer's state would exceed the available memory.
      ValueError: the example is a batch, or the networks do not accept it.
      TypeError: an argument has the wrong type.
    """
    check_autoencoder(autoencoder)
    check_optimizer(optimizer)
    names = ("example", "condition", *("an argument",) * len(example))
    arrays = (as_array(name, value) for name, value in zip(names, example, strict=False))
    state = create_state(autoencoder, optimizer, key, *cast("tuple[Array, ...]", tuple(arrays)))
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
    augment: Augmentation | None = None,
    accumulation_steps: int = 1,
    streamed: bool | None = None,
    steps_per_call: int | None = None,
) -> Iterator[Report]:
    """Trains from a snapshot until `epochs` epochs or patience are exhausted, and yields a report after every call.

    Every epoch uses the examples in a new order, which follows from the snapshot's key, in batches of `batch_size`; the
    last incomplete batch is dropped. Up to rounding error, the result does not depend on the number of devices, on the
    number of steps per call, or on whether the examples are streamed.

    Several processes (`aejax.training.distributed`) call this function with equal arguments and train one model: a
    global batch is split over the devices of all processes, and all receive equal reports. Every process can read all
    examples, so the order of an epoch does not depend on the number of processes; it reads its share of every batch
    only, if the examples are streamed.

    Args:
      autoencoder: its loss is minimized.
      optimizer: an Optax gradient transformation.
      snapshot: returned by `start`, or taken from an earlier report. The buffers of its state are donated.
      train_x: (N, ...) examples, arrays, mapped .npy files or `StoredArray`s; in `Examples` if inputs differ from
        targets or there are conditions.
      validation_x: (M, ...) examples, of the same types as train_x.
      batch_size: the size of the global batch; a multiple of the number of devices.
      epochs: the total number of epochs, including those before the snapshot.
      evaluate_every: the number of epochs between evaluations; the last epoch is always evaluated.
      patience: the number of evaluations in a row without improvement after which training ends; None for no limit.
      min_delta: the decrease of the validation loss that counts as an improvement.
      devices: the devices of all processes; all devices by default.
      augment: (key, x) -> augmented x, a function of ONE example, applied anew to every training example at every step,
        such as `functools.partial(aejax.augmentation.shift, pixels=1)`. Validation examples are not augmented.
      accumulation_steps: the number of microbatches into which each device splits its share of a batch, so that only
        one microbatch at a time must fit into memory; the result is the same up to rounding error.
      streamed: whether examples stay on the host, where batches are gathered while the devices compute, instead of
        being copied to every device; None chooses as `choose_plan` describes.
      steps_per_call: the maximum number of steps in one compiled call; None chooses as `choose_plan` describes.

    Yields:
      A `Report` after every compiled call.

    Raises:
      UserError: batch_size does not match the data or the devices, the loss cannot be accumulated, or examples cannot
        be read, hold NaN or infinity, or are outside the likelihood's range.
      ValueError: the networks do not accept the examples, or a number is out of range.
      TypeError: an argument has the wrong type.
      NonFiniteLossError: a term of the loss is NaN or infinite.
    """
    check_autoencoder(autoencoder)
    check_optimizer(optimizer)
    check_devices(devices)
    if not isinstance(snapshot, Snapshot):
        raise TypeError(
            f"snapshot must be a Snapshot, returned by start or taken from a report, got {type(snapshot).__name__}"
        )
    if augment is not None and not callable(augment):
        raise TypeError(f"augment must be a function (key, x) -> augmented x, got {augment!r}")
    check_counts(batch_size=batch_size, evaluate_every=evaluate_every, patience=patience, steps_per_call=steps_per_call)
    check_count("epochs", epochs, 0)
    check_in_range("min_delta", min_delta, 0.0)
    devices = choose_devices(None) if devices is None else list(devices)
    training, validation = as_examples(train_x, "train_x"), as_examples(validation_x, "validation_x")
    examples = len(training.x)
    check = partial(_check_finite, autoencoder=autoencoder, train_x=training.x)
    check_accumulation(autoencoder, accumulation_steps)
    check_batch_size(batch_size, examples, len(devices), accumulation_steps)
    if not len(validation.x):
        raise UserError("there are no validation examples, which choose the best parameters: at least one is expected")
    for split in (training, validation):
        check_conditions(autoencoder, snapshot.state.params, split)
    check_validation(autoencoder, snapshot.state.params, training, validation)
    plan = choose_plan(
        autoencoder,
        snapshot.state.params,
        training,
        validation,
        batch_size=batch_size,
        devices=devices,
        streamed=streamed,
        steps_per_call=steps_per_call,
    )
    train_steps: Any = compiled_steps(
        autoencoder,
        optimizer,
        tuple(devices),
        streamed=plan.streamed,
        augment=augment,
        accumulation_steps=accumulation_steps,
        unrolled=plan.unrolled,
    )
    snapshot = snapshot._replace(state=replicate(snapshot.state, devices))
    keys = run_keys(snapshot.state)
    step, steps_per_epoch = int(snapshot.state.step), examples // batch_size
    calls = _calls(keys.order, step, epochs, examples, batch_size, plan.steps_per_call, devices)
    arguments: Generator[tuple[Any, ...], None, None]  # of every following call, except the state
    likelihood = None if autoencoder.variational is None else autoencoder.variational.likelihood
    missing = accepts_missing(autoencoder)
    if plan.streamed:
        training, validation = on_host((training, validation))

        def load(positions: np.ndarray) -> tuple[Examples]:
            batches = gather(training, positions, likelihood, "the training examples", missing=missing)
            return (shard(batches, devices),)

        arguments = prefetch(load, calls)
    else:
        for split, name in ((training, "the training examples"), (validation, "the validation examples")):
            check_finite(split, name, missing=missing)
            if likelihood is not None:
                check_support(likelihood, np.asarray(split.x), name, advice=ADVICE)
        training, validation = replicate(in_memory((training, validation)), devices)
        arguments = ((training, positions) for positions in calls)
    evaluate = make_evaluate(
        autoencoder,
        batch_size=batch_size,
        devices=devices,
        streamed=plan.streamed,
        batches_per_call=plan.batches_per_call,
    )

    def is_finished(stopping: EarlyStopping) -> bool:
        return step >= epochs * steps_per_epoch or is_exhausted(stopping, patience=patience)

    def is_due() -> bool:
        epoch, offset = divmod(step, steps_per_epoch)
        return offset == 0 and (epoch % evaluate_every == 0 or epoch == epochs)

    # a run that was stopped during an evaluation starts with that evaluation
    pending = is_due() and snapshot.steps_summed > 0
    with contextlib.closing(arguments):
        while pending or not is_finished(snapshot.stopping):
            trained, loss = 0, snapshot.sums["loss"] / snapshot.steps_summed if pending else 0.0
            if not pending:
                state, metrics = train_steps(snapshot.state, *next(arguments))
                metrics = jax.device_get(metrics)
                check(metrics, first_step=step + 1)
                step, trained = step + len(metrics["loss"]), len(metrics["loss"]) * batch_size
                loss = float(np.mean(metrics["loss"], dtype=np.float64))
                snapshot = _after_steps(snapshot, state, metrics)
            pending, evaluation = False, None
            if is_due():
                for means in evaluate.call_by_call(snapshot.state.params, keys.evaluation, validation):
                    if means is not None:
                        check({name: np.array([value]) for name, value in means.items()}, first_step=step)
                        evaluation = {f"train/{term}": v / snapshot.steps_summed for term, v in snapshot.sums.items()}
                        evaluation |= {f"validation/{term}": value for term, value in means.items()}
                        snapshot = _after_evaluation(snapshot, means["loss"], step // steps_per_epoch, min_delta)
                    else:
                        yield Report(snapshot, step, step / steps_per_epoch, trained, loss, None, False, True)
                        trained = 0
            finished = is_finished(snapshot.stopping)
            yield Report(snapshot, step, step / steps_per_epoch, trained, loss, evaluation, finished)


def check_parameters(
    state: TrainState, autoencoder: Autoencoder | None = None, train_x: Array | np.ndarray | None = None
) -> None:
    """Raise NonFiniteLossError unless all parameters are finite: a finite loss may have a gradient that is not.

    Args:
      state: the state after a step.
      autoencoder: the trained autoencoder, for the advice in the message.
      train_x: the training examples, for the advice in the message.
    """
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state.params)):
        raise NonFiniteLossError(
            f"training stopped at step {int(state.step)}, whose parameters are not finite; "
            f"{_advice(autoencoder, train_x)}"
        )


def _advice(autoencoder: Autoencoder | None, train_x: Array | np.ndarray | None) -> str:
    """Returns advice that depends on the range of the training examples, estimated from some of them."""
    default = "a lower learning rate or gradient clipping may help"
    if autoencoder is None or train_x is None:
        return default
    checked = np.linspace(0, len(train_x) - 1, min(len(train_x), _MAX_EXAMPLES_CHECKED)).astype(int)
    values = np.asarray(train_x[checked])
    if not np.isfinite(values).all():
        return "the training examples hold NaN or infinity: remove those examples"
    low, high = float(np.min(values)), float(np.max(values))
    if max(-low, high) <= _UNIT_SCALE or "standardized" in part_names(autoencoder.parts):
        return default
    found = f"the training examples range from {low:g} to {high:g}, far from unit scale: "
    if autoencoder.variational is not None and autoencoder.variational.likelihood.support.integers:
        return f"{found}let the encoder read log(1 + count), as standardize=auto does; a lower learning rate may help"
    return f"{found}scale them, or standardize them in the model (standardize=auto, or autoencoders.standardized)"


def _calls(
    order_key: Array,
    step: int,
    epochs: int,
    examples: int,
    batch_size: int,
    steps_per_call: int,
    devices: Sequence[jax.Device],
) -> Iterator[np.ndarray]:
    """Yields the positions (devices, S, share) of each call's examples on this process's devices, from `step` on."""
    local, steps_per_epoch = local_indices(devices), examples // batch_size
    for epoch in range(step // steps_per_epoch, epochs):
        order = epoch_order(order_key, epoch, examples)
        offset = step - epoch * steps_per_epoch
        while offset < steps_per_epoch:
            calls_left = -(-(steps_per_epoch - offset) // steps_per_call)
            steps = -(-(steps_per_epoch - offset) // calls_left)
            positions = order[offset * batch_size : (offset + steps) * batch_size]
            yield positions.reshape(steps, len(devices), -1).swapaxes(0, 1)[local]
            offset += steps
        step = (epoch + 1) * steps_per_epoch


def _after_steps(snapshot: Snapshot, state: TrainState, metrics: dict[str, np.ndarray]) -> Snapshot:
    sums = {name: snapshot.sums.get(name, 0.0) + float(np.sum(v, dtype=np.float64)) for name, v in metrics.items()}
    return snapshot._replace(state=state, sums=sums, steps_summed=snapshot.steps_summed + len(metrics["loss"]))


def _after_evaluation(snapshot: Snapshot, loss: float, epoch: int, min_delta: float) -> Snapshot:
    stopping = update(snapshot.stopping, loss=loss, epoch=epoch, min_delta=min_delta)
    improved = stopping.evaluations_since == 0
    # a copy, since the buffers of the state are donated to the next step
    best_params = jax.tree.map(jnp.copy, snapshot.state.params) if improved else snapshot.best_params
    return snapshot._replace(best_params=best_params, stopping=stopping, sums={}, steps_summed=0)


def _check_finite(
    metrics: dict[str, np.ndarray], *, first_step: int, autoencoder: Autoencoder, train_x: Array | np.ndarray
) -> None:
    finite = {name: np.isfinite(values) for name, values in metrics.items()}
    if all(values.all() for values in finite.values()):
        return
    first = int(np.argmin(np.all(list(finite.values()), axis=0)))
    names = [name for name in finite if not finite[name][first] and name != "loss"] or ["loss"]
    terms = ", ".join(f"{name} is {metrics[name][first]}" for name in names)
    advice = _advice(autoencoder, train_x)
    raise NonFiniteLossError(
        f"training stopped at step {first_step + first}, whose loss is not finite: {terms}; {advice}"
    )
