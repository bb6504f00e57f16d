"""What the training loop adds to bare steps: batches, metrics, progress, and examples that are streamed."""

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

DESCRIPTION = """What the training loop adds to bare steps of the 784-400-20 variational autoencoder.

  benchmark_loop.py                      an epoch of 100 steps of each, in turns, a minute or two
  benchmark_loop.py --batch-size 1024    larger batches

A bare step is the loss, its gradient and Adam's update, many in one compiled scan, of one batch that lies on the
device. Its matrix products alone, with a descent along them, bound it from below, whatever the loss, the noise and
Adam cost. The rows after it add up: the loop of `aejax.training.train`, which draws an order for every epoch, gathers
its batches from examples on the device, keeps every metric and looks whether all are finite; the progress that train.py
shows; examples that stay in the host's memory; examples that lie in a .npy file."""

PRODUCTS, BARE = "the matrix products of a step", "bare steps"
EXAMPLES_ON_DEVICE, PROGRESS = "the loop, examples on the device", "and progress shown"
FROM_MEMORY, FROM_FILE = "streamed from memory instead", "streamed from a file instead"


@dataclass(frozen=True)
class Options:
    """What to measure, and how often."""

    batch_size: int = 128
    """Examples in a batch."""
    steps: int = 100
    """Of an epoch."""
    epochs: int = 15
    """Of each, after one that compiles; the median is shown."""
    json: Path | None = None
    """A file to save the figures in."""


def main() -> None:
    """Parse, measure, print and save."""
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
    """Median seconds of a step of each kind, an epoch of each in turns."""
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
        turn = epoch % len(runs)
        for name in [*runs][turn:] + [*runs][:turn]:  # none always follows the same other
            start = time.perf_counter()
            next(runs[name])
            if epoch:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(of_run) / options.steps for name, of_run in seconds.items()}


def build() -> Any:
    """The autoencoder that all train."""
    from aejax.autoencoders import variational
    from aejax.networks import MLP

    return variational(MLP((40,), (400,)), MLP((784,), (400,)))


def epochs_of_products(x: Any, options: Options) -> Iterator[None]:
    """An epoch at a time of the eleven products: four of the dense layers, and two for each but the first one's x."""
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

        # the output is its own cotangent, so that nothing but products is computed
        output, pull_back = jax.vjp(products, weights)
        return jax.tree.map(lambda weight, slope: weight - 1e-6 * slope, weights, *pull_back(output)), None

    run = jax.jit(lambda weights, batch: jax.lax.scan(lambda w, _: step(w, batch), weights, None, options.steps)[0])
    batch = jax.device_put(x[: options.batch_size])
    while True:
        weights = jax.block_until_ready(run(weights, batch))
        yield


def bare_epochs(x: Any, options: Options) -> Iterator[None]:
    """An epoch at a time of losses, gradients and updates alone."""
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
    """An epoch at a time of the library's loop; evaluations, which do not belong to it, come only at its end."""
    import jax
    import optax

    from aejax.experiment.progress import TrainingProgress
    from aejax.host.terminal import PlainConsole
    from aejax.training import start, train

    autoencoder, optimizer, epochs = build(), optax.adam(1e-3), 2 + options.epochs
    snapshot = start(autoencoder, optimizer, jax.random.key(0), x[0])
    knobs: dict[str, Any] = {"batch_size": options.batch_size, "epochs": epochs, "evaluate_every": epochs}
    console = PlainConsole(file=io.StringIO(), force_terminal=True)
    with TrainingProgress(console, epochs, 0) as shown:
        for report in train(autoencoder, optimizer, snapshot, x, x[:1], streamed=streamed, **knobs):
            if progress:
                shown.show(report)
            if report.step % options.steps == 0:
                yield


def show(seconds: dict[str, float], options: Options) -> None:
    """Print a table."""
    from rich.table import Table

    from aejax.host.terminal import PlainConsole

    table = Table(title=f"VAE 784-400-20, batches of {options.batch_size}, epochs of {options.steps} steps")
    table.add_column("")
    table.add_column("ms a step", justify="right")
    table.add_column("beyond bare steps", justify="right")
    for name, of_step in seconds.items():
        beyond = "" if name == BARE else f"{100 * (of_step / seconds[BARE] - 1):+.1f} %"
        table.add_row(name, f"{1e3 * of_step:.2f}", beyond)
    PlainConsole(width=None if sys.stdout.isatty() else 120, soft_wrap=False).print(table)


if __name__ == "__main__":
    command_line.run(main)
