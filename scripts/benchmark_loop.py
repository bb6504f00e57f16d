"""Measures the overhead of the training loop over bare steps: batches, metrics, progress and streaming."""

import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aejax.cli import command_line
from aejax.errors import UserError
from aejax.host.files import write_text

DESCRIPTION = """Measure the overhead of the training loop over bare steps of the 784-400-20 variational autoencoder.

  benchmark_loop.py                      one or two minutes
  benchmark_loop.py --batch-size 1024    larger batches

A bare step is the loss, its gradient and Adam's update, of one batch on the device; all steps of an epoch are one
compiled scan. Its matrix products alone, with a plain gradient descent step, are a lower bound of its time. Every
further row adds to the one before: the loop of `aejax.training.train`, which shuffles every epoch, gathers batches from
examples on the device, averages all metrics and checks that they are finite; the progress display of training; examples
in the host's memory instead of on the device; examples in a .npy file."""

PRODUCTS, BARE = "matrix products of a step", "bare steps"
EXAMPLES_ON_DEVICE, PROGRESS = "loop, examples on the device", "loop with progress display"
FROM_MEMORY, FROM_FILE = "loop, streaming from memory", "loop, streaming from a file"


@dataclass(frozen=True)
class Options:
    """What to measure and how often."""

    batch_size: int = 128
    """Number of examples in a batch."""
    steps: int = 100
    """Number of steps per epoch."""
    epochs: int = 15
    """Number of timed epochs of each kind, after one that compiles; the table shows the median."""
    json: Path | None = None
    """File to save the results in."""


def main() -> None:
    """Parses the options, measures, prints the table and saves it."""
    options = command_line.parse(Options, sys.argv[1:], description=DESCRIPTION)
    for name in ("batch_size", "steps", "epochs"):
        if (number := getattr(options, name)) < 1:
            raise UserError(f"--{name.replace('_', '-')} must be at least 1, got {number}")
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(options, Path(folder))
    show(seconds, options)
    if options.json:
        write_text(options.json, json.dumps(seconds, indent=2) + "\n")


def measure(options: Options, folder: Path) -> dict[str, float]:
    """Returns the median seconds per step of each kind; epochs of all kinds are interleaved."""
    import numpy as np

    x = np.random.default_rng(0).uniform(size=(options.steps * options.batch_size, 784)).astype(np.float32)
    np.save(folder / "examples.npy", x)
    runs = {
        PRODUCTS: epochs_of_products(x, options),
        BARE: bare_epochs(x, options),
        EXAMPLES_ON_DEVICE: epochs_of_loop(x, options),
        PROGRESS: epochs_of_loop(x, options, progress=True),
        FROM_MEMORY: epochs_of_loop(x, options, progress=True, streamed=True),
        FROM_FILE: epochs_of_loop(
            np.load(folder / "examples.npy", mmap_mode="r"), options, progress=True, streamed=True
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for epoch in range(1 + options.epochs):
        shift = epoch % len(runs)
        for name in [*runs][shift:] + [*runs][:shift]:  # the order rotates
            start = time.perf_counter()
            next(runs[name])
            if epoch:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(of_kind) / options.steps for name, of_kind in seconds.items()}


def build() -> Any:
    """Returns the autoencoder that is trained in all rows."""
    from aejax.autoencoders import variational
    from aejax.networks import MLP

    return variational(MLP((40,), (400,)), MLP((784,), (400,)))


def epochs_of_products(x: Any, options: Options) -> Iterator[None]:
    """Runs epochs of the eleven products: four of the forward and seven of the backward pass; x has no gradient."""
    import jax
    import jax.numpy as jnp

    shapes = ((784, 400), (400, 40), (20, 400), (400, 784))
    keys = jax.random.split(jax.random.key(0), len(shapes))
    weights = [0.01 * jax.random.normal(key, s) for s, key in zip(shapes, keys, strict=True)]

    def step(weights: Any, batch: Any) -> Any:
        def products(weights: Any) -> Any:
            first, second, third, fourth = weights
            code = batch @ first @ second
            return code[:, :20] @ third @ fourth + jnp.mean(code[:, 20:])

        # the output is its own cotangent, so that only products are computed
        output, pull_back = jax.vjp(products, weights)
        return jax.tree.map(lambda weight, gradient: weight - 1e-6 * gradient, weights, *pull_back(output)), None

    run = jax.jit(lambda weights, batch: jax.lax.scan(lambda w, _: step(w, batch), weights, None, options.steps)[0])
    batch = jax.device_put(x[: options.batch_size])
    while True:
        weights = jax.block_until_ready(run(weights, batch))
        yield


def bare_epochs(x: Any, options: Options) -> Iterator[None]:
    """Runs epochs of losses, gradients and updates only."""
    import jax
    import optax

    autoencoder, optimizer = build(), optax.adam(1e-3)
    params = autoencoder.init(jax.random.key(0), x[0])
    state = (params, optimizer.init(params))

    def step(state: Any, key: Any, batch: Any) -> tuple[Any, Any]:
        params, optimizer_state = state
        (loss, _), gradient = jax.value_and_grad(autoencoder.loss, has_aux=True)(params, key, batch)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
        return (optax.apply_updates(params, updates), optimizer_state), loss

    def epoch(state: Any, key: Any, batch: Any) -> Any:
        keys = jax.random.split(key, options.steps)
        return jax.lax.scan(lambda state, key: step(state, key, batch), state, keys)

    run, batch = jax.jit(epoch, donate_argnums=0), jax.device_put(x[: options.batch_size])
    while True:
        state, _ = jax.block_until_ready(run(state, jax.random.key(1), batch))
        yield


def epochs_of_loop(x: Any, options: Options, *, progress: bool = False, streamed: bool = False) -> Iterator[None]:
    """Runs epochs of the library's loop; the only evaluation comes after the last timed epoch."""
    import jax
    import optax

    from aejax.experiment.progress import TrainingProgress
    from aejax.host.terminal import PlainConsole
    from aejax.training import start, train

    autoencoder, optimizer, epochs = build(), optax.adam(1e-3), 2 + options.epochs
    snapshot = start(autoencoder, optimizer, jax.random.key(0), x[0])
    knobs: dict[str, Any] = {"batch_size": options.batch_size, "epochs": epochs, "evaluate_every": epochs}
    console = PlainConsole(file=io.StringIO(), force_terminal=True)
    with TrainingProgress(console, epochs, 0) as display:
        for report in train(autoencoder, optimizer, snapshot, x, x[:1], streamed=streamed, **knobs):
            if progress:
                display.show(report)
            if report.step % options.steps == 0:
                yield


def show(seconds: dict[str, float], options: Options) -> None:
    """Prints the table."""
    from rich.table import Table

    from aejax.host.terminal import PlainConsole

    table = Table(title=f"VAE 784-400-20, batches of {options.batch_size}, epochs of {options.steps} steps")
    table.add_column("")
    table.add_column("ms per step", justify="right")
    table.add_column("overhead over bare steps", justify="right")
    for name, per_step in seconds.items():
        overhead = "" if name == BARE else f"{100 * (per_step / seconds[BARE] - 1):+.1f} %"
        table.add_row(name, f"{1e3 * per_step:.2f}", overhead)
    PlainConsole(width=None if sys.stdout.isatty() else 120, soft_wrap=False).print(table)


if __name__ == "__main__":
    command_line.run(main)
