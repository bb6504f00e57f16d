"""The training loop: an iterator of reports. It prints nothing and writes nothing; who iterates does."""

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
from aejax.training.devices import check_batch_size, choose_devices, divide, places_here, replicate
from aejax.training.early_stopping import EarlyStopping, is_over, observe
from aejax.training.entrance import (
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

_UNIT_SCALE = 10.0  # networks are initialized for inputs of about 1
_LOOKED_AT = 1000  # training examples


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
    evaluating: bool = False  # an evaluation is under way, and nothing has changed; the snapshot stands before it


def start(
    autoencoder: Autoencoder,
    optimizer: optax.GradientTransformation,
    key: Key[Array, ""],
    *example: Array,
) -> Snapshot:
    """The snapshot before the first step; arguments as for `create_state`.

    Raises:
      ValueError: a batch in the place of ONE example, or one that the networks do not take.
      TypeError: an argument of another kind.
    """
    check_autoencoder(autoencoder)
    check_optimizer(optimizer)
    names = ("example", "condition", *("an argument",) * len(example))
    arrays = (as_array(name, part) for name, part in zip(names, example, strict=False))
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
    """Train from a snapshot until `epochs` epochs are full or patience ends, and report after every compiled call.

    Every epoch takes the examples in a new order that follows from the snapshot's key, in batches of `batch_size`;
    what does not fill a batch is left out of that epoch. The result depends neither on the number of devices nor on
    how the steps are divided into calls, nor on where the examples lie, but for rounding.

    Several processes that have met (`aejax.training.distributed`) each call this with equal arguments and train as one:
    a global batch is spread over the devices of all, and the reports of all are equal. Each process can reach all
    examples and takes its share of every batch from them, and where they are streamed reads no more than that; so the
    order of an epoch is the one that one process would take.

    Args:
      autoencoder: whose loss is minimized.
      optimizer: an Optax gradient transformation.
      snapshot: from `start`, or of an earlier report. Its state is used up.
      train_x: (N, ...) examples, arrays, mapped .npy files or `StoredArray`s; as `Examples` where they are pairs of
        clean and noisy, or have conditions.
      validation_x: (M, ...) examples, likewise.
      batch_size: of the global batch; a multiple of the number of devices.
      epochs: how many in all, those before the snapshot counted in.
      evaluate_every: epochs between evaluations; the last epoch is always evaluated.
      patience: evaluations in a row without improvement after which training ends; None never ends it.
      min_delta: what validation loss must fall by to count as an improvement.
      devices: all by default, those of every process where there are several.
      augment: (key, x) -> another x, of ONE example: what takes the place of a training example, anew at every step,
        such as `functools.partial(aejax.augmentation.shift, pixels=1)`; what is evaluated stays as it is.
      accumulation_steps: into how many parts each device divides its share of a batch, so that only one part has to
        fit into memory; the result is the same.
      streamed: whether examples stay on the host, and batches are gathered there while the devices work, instead of
        lying on every device; by default, and at most so many steps in one compiled call, as `choose_plan` says.
      steps_per_call: at most so many steps in one compiled call; by default as `choose_plan` says.

    Raises:
      UserError: a batch size that does not fit the data or the devices, a loss that cannot be accumulated, or examples
        that cannot be read, that hold NaN or infinity, or that the likelihood cannot explain.
      ValueError: examples that the networks do not take, validation examples of another shape than the training
        examples, or a number out of range.
      TypeError: an argument of another kind.
      NonFiniteLossError: a term of the loss is NaN or infinite.
    """
    check_autoencoder(autoencoder)
    check_optimizer(optimizer)
    check_devices(devices)
    if not isinstance(snapshot, Snapshot):
        raise TypeError(f"snapshot must be that of start or of a report, got {type(snapshot).__name__}")
    if augment is not None and not callable(augment):
        raise TypeError(f"augment must be a function (key, x) -> another x, got {augment!r}")
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
        raise UserError(
            "there are no validation examples, and the best parameters are chosen by them; give at least one"
        )
    for part in (training, validation):
        check_conditions(autoencoder, snapshot.state.params, part)
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
    arguments: Generator[tuple[Any, ...], None, None]  # of every call to come, besides the state
    likelihood = None if autoencoder.variational is None else autoencoder.variational.likelihood
    if plan.streamed:
        training, validation = on_host((training, validation))

        def load(positions: np.ndarray) -> tuple[Examples]:
            batches = gather(training, positions, likelihood, "the training examples")
            return (divide(batches, devices),)

        arguments = prefetch(load, calls)
    else:
        for part, name in ((training, "the training examples"), (validation, "the validation examples")):
            check_finite(part, name)
            if likelihood is not None:
                check_support(likelihood, np.asarray(part.x), name, advice=ADVICE)
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
        return step >= epochs * steps_per_epoch or is_over(stopping, patience=patience)

    def is_due() -> bool:
        epoch, offset = divmod(step, steps_per_epoch)
        return offset == 0 and (epoch % evaluate_every == 0 or epoch == epochs)

    # where the run was stopped in the middle of an evaluation, that comes first
    pending = is_due() and snapshot.steps_summed > 0
    with contextlib.closing(arguments):
        while pending or not is_finished(snapshot.stopping):
            images, loss = 0, snapshot.sums["loss"] / snapshot.steps_summed if pending else 0.0
            if not pending:
                state, metrics = train_steps(snapshot.state, *next(arguments))
                metrics = jax.device_get(metrics)
                check(metrics, first_step=step + 1)
                step, images = step + len(metrics["loss"]), len(metrics["loss"]) * batch_size
                loss = float(np.mean(metrics["loss"], dtype=np.float64))
                snapshot = _after_steps(snapshot, state, metrics)
            pending, evaluation = False, None
            if is_due():
                for means in evaluate.parts(snapshot.state.params, keys.evaluation, validation):
                    if means is not None:
                        check({name: np.array([value]) for name, value in means.items()}, first_step=step)
                        evaluation = {f"train/{term}": v / snapshot.steps_summed for term, v in snapshot.sums.items()}
                        evaluation |= {f"validation/{term}": value for term, value in means.items()}
                        snapshot = _after_evaluation(snapshot, means["loss"], step // steps_per_epoch, min_delta)
                    else:
                        yield Report(snapshot, step, step / steps_per_epoch, images, loss, None, False, True)
                        images = 0
            finished = is_finished(snapshot.stopping)
            yield Report(snapshot, step, step / steps_per_epoch, images, loss, evaluation, finished)


def check_parameters(
    state: TrainState, autoencoder: Autoencoder | None = None, train_x: Array | np.ndarray | None = None
) -> None:
    """Raise NonFiniteLossError where a finite loss has had a gradient that is not, and the parameters are spoiled.

    Args:
      state: after some step.
      autoencoder: that was trained, for what the message advises.
      train_x: the examples that it was trained on, likewise.
    """
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state.params)):
        raise NonFiniteLossError(
            f"training stopped at step {int(state.step)}, whose parameters are not finite; "
            f"{_advice(autoencoder, train_x)}"
        )


def _advice(autoencoder: Autoencoder | None, train_x: Array | np.ndarray | None) -> str:
    """What may help: it depends on the values of the examples, of which some are looked at."""
    usual = "a lower learning rate or gradient clipping may help"
    if autoencoder is None or train_x is None:
        return usual
    values = np.asarray(train_x[np.linspace(0, len(train_x) - 1, min(len(train_x), _LOOKED_AT)).astype(int)])
    if not np.isfinite(values).all():
        return "the training examples hold NaN or infinity: leave those out"
    low, high = float(np.min(values)), float(np.max(values))
    if max(-low, high) <= _UNIT_SCALE or "standardized" in part_names(autoencoder.parts):
        return usual
    found = f"the training examples range from {low:g} to {high:g}, far from unit scale: "
    if autoencoder.variational is not None and autoencoder.variational.likelihood.support.integers:
        return f"{found}let the encoder read log(1 + count), as --standardize auto does; a lower learning rate may help"
    return f"{found}scale them, or standardize them in the model (--standardize auto, autoencoders.standardized)"


def _calls(
    order_key: Array,
    step: int,
    epochs: int,
    examples: int,
    batch_size: int,
    steps_per_call: int,
    devices: Sequence[jax.Device],
) -> Iterator[np.ndarray]:
    """The positions (devices, S, share) of the examples of every call from a step on, of this process's devices."""
    here, steps_per_epoch = places_here(devices), examples // batch_size
    for epoch in range(step // steps_per_epoch, epochs):
        order = epoch_order(order_key, epoch, examples)
        offset = step - epoch * steps_per_epoch
        while offset < steps_per_epoch:
            calls_left = -(-(steps_per_epoch - offset) // steps_per_call)
            steps = -(-(steps_per_epoch - offset) // calls_left)
            positions = order[offset * batch_size : (offset + steps) * batch_size]
            yield positions.reshape(steps, len(devices), -1).swapaxes(0, 1)[here]
            offset += steps
        step = (epoch + 1) * steps_per_epoch


def _after_steps(snapshot: Snapshot, state: TrainState, metrics: dict[str, np.ndarray]) -> Snapshot:
    sums = {name: snapshot.sums.get(name, 0.0) + float(np.sum(v, dtype=np.float64)) for name, v in metrics.items()}
    return snapshot._replace(state=state, sums=sums, steps_summed=snapshot.steps_summed + len(metrics["loss"]))


def _after_evaluation(snapshot: Snapshot, loss: float, epoch: int, min_delta: float) -> Snapshot:
    stopping = observe(snapshot.stopping, loss=loss, epoch=epoch, min_delta=min_delta)
    improved = stopping.evaluations_since == 0
    # a copy, since the next step uses the buffers of the state up
    best_params = jax.tree.map(jnp.copy, snapshot.state.params) if improved else snapshot.best_params
    return snapshot._replace(best_params=best_params, stopping=stopping, sums={}, steps_summed=0)


def _check_finite(
    metrics: dict[str, np.ndarray], *, first_step: int, autoencoder: Autoencoder, train_x: Array | np.ndarray
) -> None:
    finite = {name: np.isfinite(values) for name, values in metrics.items()}
    if all(values.all() for values in finite.values()):
        return
    at = int(np.argmin(np.all(list(finite.values()), axis=0)))
    terms = [name for name in finite if not finite[name][at] and name != "loss"] or ["loss"]
    broken = ", ".join(f"{name} is {metrics[name][at]}" for name in terms)
    advice = _advice(autoencoder, train_x)
    raise NonFiniteLossError(
        f"training stopped at step {first_step + at}, whose loss is not finite: {broken}; {advice}"
    )
