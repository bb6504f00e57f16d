"""Measures training speed with the library's loop, including metrics and evaluation, compared with PyTorch."""

import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from aejax.cli import command_line
from aejax.errors import UserError
from aejax.host.files import write_text

DESCRIPTION = """Measure training speed with the library's loop, compared with PyTorch if it is installed.

  benchmark_training.py                                    every workload, a few minutes
  benchmark_training.py --workloads vae --rounds 5         one workload, more rounds
  benchmark_training.py --json figures.json                also save the table

Every pair of workload and framework runs in its own process, to measure its memory, and the rounds are interleaved, so
that other load on the machine affects all pairs equally. Times are medians over the rounds. For aejax, an epoch is one
of `aejax.training.train`, with all metrics and an evaluation on a tenth as many examples; for PyTorch, a bare loop over
steps. "of the limit" is the rate of operations of a step, by XLA's count, relative to the rate of matrix products
on this machine.

What limits a step on two cores: for the variational autoencoder, matrix products. They take 2.45 of 3.1 ms with a plain
gradient descent step, since they reach 180 of the 200 GFLOP/s of large ones at 128 rows. Adam adds 0.2 ms; the loss and
the random numbers are computed in parallel. For the denoiser, memory: of 89 ms, convolution and pooling at full size
take about 35 for passes over arrays of 25 MB, and the convolution of 64 channels to 32 takes 19.

The cost of a step on n devices: a ring all-reduce moves 8 P (n - 1) / n bytes through every device for P parameters in
float32, and a dense step needs about 6 P b operations for b examples per device. At F operations and W bytes per
second, communication takes less time than computation from b = 4/3 (n - 1)/n F/W examples per device, for any P: with
F = 200e12, about 520 on 8 GPUs at 450e9 bytes per second, and 5,300 on 256 hosts at 50e9."""

FRAMEWORKS = ("aejax", "torch", "torch.channels_last", "torch.compile")


class Workload(NamedTuple):
    """An autoencoder to train and the size of its data; a tenth as many examples are evaluated."""

    title: str
    shape: tuple[int, ...]
    batch_size: int
    steps: int  # per epoch
    epochs: int  # timed


WORKLOADS = {
    "vae": Workload("VAE 784-400-20", (28, 28, 1), 128, 100, 5),
    "denoiser": Workload("denoiser 64-32-16, 28x28", (28, 28, 1), 128, 6, 3),
    "document": Workload("denoiser 32-16, 258x540", (258, 540, 1), 2, 3, 3),
    "contractive": Workload("contractive 784-512-256-32", (28, 28, 1), 128, 10, 4),
}


@dataclass(frozen=True)
class Options:
    """What to measure and how often."""

    workloads: tuple[str, ...] = tuple(WORKLOADS)
    """Any of vae, denoiser, document, contractive."""
    frameworks: tuple[str, ...] = FRAMEWORKS
    """Any of aejax, torch (eager), torch.channels_last, torch.compile; those of PyTorch are skipped if it is not
    installed."""
    rounds: int = 3
    """Number of runs of every pair."""
    json: Path | None = None
    """File to save the results in."""


@dataclass
class Figures:
    """The results of one workload and framework."""

    seconds: float  # per step, in the median epoch
    compile_seconds: float  # how much longer the first epoch takes than the median
    peak_bytes: int  # largest resident memory of the process
    operations: float | None = None  # per step


def main() -> None:
    """Runs all pairs, interleaved, prints the table and saves it."""
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(asdict(work(*sys.argv[2:4]))))
        return
    options = command_line.parse(Options, sys.argv[1:], description=DESCRIPTION)
    check(options)
    frameworks = [name for name in options.frameworks if name == "aejax" or importlib.util.find_spec("torch")]
    pairs = [(w, f) for w in options.workloads for f in frameworks if applies(w, f)]
    rounds: dict[tuple[str, str], list[Figures]] = {pair: [] for pair in pairs}
    limit = matmul_limit()
    for number in range(options.rounds):
        for workload, framework in pairs:
            print(f"round {number + 1}/{options.rounds}: {workload}, {framework}", file=sys.stderr)
            rounds[workload, framework].append(in_own_process(workload, framework))
    figures = {pair: median_of(measured) for pair, measured in rounds.items()}
    show(figures, limit)
    if options.json:
        rows = [{"workload": w, "framework": f, **asdict(value)} for (w, f), value in figures.items()]
        write_text(options.json, json.dumps({"limit": limit, "rows": rows}, indent=2) + "\n")


def check(options: Options) -> None:
    """Raises UserError unless all names are known and there is at least one round."""
    for name, values, known in (
        ("workloads", options.workloads, tuple(WORKLOADS)),
        ("frameworks", options.frameworks, FRAMEWORKS),
    ):
        if unknown := [value for value in values if value not in known]:
            raise UserError(f"--{name} must be one or more of {', '.join(known)}, got {', '.join(unknown)}")
    if options.rounds < 1:
        raise UserError(f"--rounds must be at least 1, got {options.rounds}")


def applies(workload: str, framework: str) -> bool:
    """Returns whether to run a pair: channels_last is for images, and torch.compile not for torch.func.jacrev."""
    excluded = {"torch.channels_last": ("vae", "contractive"), "torch.compile": ("contractive",)}
    return workload not in excluded.get(framework, ())


def in_own_process(workload: str, framework: str) -> Figures:
    """Runs a pair in a new process and returns its results."""
    command = [sys.executable, __file__, "--worker", workload, framework]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Figures(**json.loads(finished.stdout.splitlines()[-1]))


def median_of(rounds: list[Figures]) -> Figures:
    """Returns the medians of the times and the largest memory over rounds."""
    return Figures(
        statistics.median(one.seconds for one in rounds),
        statistics.median(one.compile_seconds for one in rounds),
        max(one.peak_bytes for one in rounds),
        rounds[0].operations,
    )


def matmul_limit() -> float:
    """Returns the operations per second of the fastest of a few matrix products in float32."""
    import jax
    import jax.numpy as jnp

    rates = []
    for rows, inner, columns in ((4096, 512, 512), (2048, 2048, 2048), (4096, 784, 400)):
        a, b = jnp.ones((rows, inner)), jnp.ones((inner, columns))
        multiply = jax.jit(jnp.matmul).lower(a, b).compile()
        times = []
        for _ in range(12):
            start = time.perf_counter()
            jax.block_until_ready(multiply(a, b))
            times.append(time.perf_counter() - start)
        rates.append(2 * rows * inner * columns / statistics.median(times[2:]))
    return max(rates)


def work(workload: str, framework: str) -> Figures:
    """Trains and times one pair in this process."""
    run = train_aejax if framework == "aejax" else train_torch
    epoch_seconds, operations = run(workload, framework)
    first, *others = epoch_seconds
    usual = statistics.median(others)
    # ru_maxrss is in kilobytes on Linux, in bytes on macOS
    unit = 1 if sys.platform == "darwin" else 1024
    peak = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Figures(usual / WORKLOADS[workload].steps, max(0.0, first - usual), peak, operations)


def train_aejax(name: str, framework: str) -> tuple[list[float], float | None]:
    """Returns the seconds of each epoch of the library's loop, and the operations per step by XLA's count."""
    del framework
    import jax
    import numpy as np
    import optax

    from aejax.autoencoders import as_batch
    from aejax.training import AXIS, start, train

    workload = WORKLOADS[name]
    autoencoder = build(name)
    x = np.random.default_rng(0).uniform(size=(workload.batch_size * workload.steps, *workload.shape))
    x = x.astype(np.float32)
    optimizer = optax.adam(1e-3)
    snapshot = start(autoencoder, optimizer, jax.random.key(0), x[0])

    def gradient(params: Any, batch: Any) -> Any:
        one_device = jax.vmap(
            lambda batch: jax.grad(autoencoder.loss, has_aux=True)(params, jax.random.key(0), as_batch(batch))[0],
            axis_name=AXIS,
        )
        return one_device(batch[None])

    lowered = jax.jit(gradient).lower(snapshot.state.params, x[: workload.batch_size])
    operations = (lowered.cost_analysis() or {}).get("flops")
    seconds = []
    clock = time.perf_counter()
    epochs = 1 + workload.epochs
    for report in train(
        autoencoder, optimizer, snapshot, x, x[: max(1, len(x) // 10)], batch_size=workload.batch_size, epochs=epochs
    ):
        if report.evaluation is not None:
            now = time.perf_counter()
            seconds.append(now - clock)
            clock = now
    return seconds, operations


def build(name: str) -> Any:
    """Returns the autoencoder of a workload."""
    import functools

    import jax.numpy as jnp

    from aejax.autoencoders import contractive, denoising, undercomplete, variational
    from aejax.corruption import salt_and_pepper
    from aejax.losses import binary_cross_entropy
    from aejax.networks import MLP, ConvDecoder, ConvEncoder

    shape = WORKLOADS[name].shape
    if name == "vae":
        return variational(MLP((40,), (400,)), MLP(shape, (400,)))
    if name == "contractive":
        plain = undercomplete(
            MLP((32,), (512, 256), jnp.tanh), MLP(shape, (256, 512), jnp.tanh), loss=binary_cross_entropy
        )
        return contractive(plain, weight=0.1, method="auto")
    features = (64, 32, 16) if name == "denoiser" else (32, 16)
    plain = undercomplete(ConvEncoder(features), ConvDecoder(shape, features[::-1]), loss=binary_cross_entropy)
    return denoising(plain, corrupt=functools.partial(salt_and_pepper, amount=0.1))


def train_torch(name: str, framework: str) -> tuple[list[float], float | None]:
    """Returns the seconds of each epoch of a bare loop over PyTorch's steps; operations are not counted."""
    import torch

    workload = WORKLOADS[name]
    torch.manual_seed(0)
    channels_last = framework == "torch.channels_last"
    modules, loss = torch_loss(name)
    if channels_last:
        modules = modules.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(modules.parameters(), 1e-3)
    height, width, channels = workload.shape
    x = torch.rand(workload.batch_size * workload.steps, channels, height, width)
    compute = torch.compile(loss) if framework == "torch.compile" else loss
    seconds = []
    for _ in range(1 + workload.epochs):
        start = time.perf_counter()
        for rows in torch.randperm(len(x)).split(workload.batch_size):
            batch = x[rows]
            if channels_last:
                batch = batch.contiguous(memory_format=torch.channels_last)
            optimizer.zero_grad(set_to_none=True)
            compute(batch).backward()
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    return seconds, None


def torch_loss(name: str) -> tuple[Any, Callable[[Any], Any]]:
    """Returns the modules of a workload and its loss for a batch (B, C, H, W), written as is usual in PyTorch."""
    import torch
    from torch import nn
    from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

    shape = WORKLOADS[name].shape
    if name == "vae":
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40))
        decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))

        def negative_elbo(x: Any) -> Any:
            mean, log_variance = encoder(x).chunk(2, dim=1)
            code = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            reconstruction = cross_entropy(decoder(code), x.flatten(1), reduction="sum")
            kl = 0.5 * torch.sum(mean.square() + log_variance.exp() - 1 - log_variance)
            return (reconstruction + kl) / len(x)

        return nn.ModuleList([encoder, decoder]), negative_elbo
    if name == "contractive":
        layers = [nn.Linear(784, 512), nn.Tanh(), nn.Linear(512, 256), nn.Tanh(), nn.Linear(256, 32)]
        encoder = nn.Sequential(*layers)
        layers = [nn.Linear(32, 256), nn.Tanh(), nn.Linear(256, 512), nn.Tanh(), nn.Linear(512, 784)]
        decoder = nn.Sequential(*layers)

        def contractive_loss(x: Any) -> Any:
            x = x.flatten(1)
            jacobian = torch.func.vmap(torch.func.jacrev(encoder))(x)
            reconstruction = cross_entropy(decoder(encoder(x)), x, reduction="sum")
            return (reconstruction + 0.1 * jacobian.square().sum()) / len(x)

        return nn.ModuleList([encoder, decoder]), contractive_loss
    features = (64, 32, 16) if name == "denoiser" else (32, 16)
    down: list[Any] = []
    for before, after in zip((1, *features), features, strict=False):
        down += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
    up: list[Any] = []
    for before, after in zip((features[-1], *features[::-1]), features[::-1], strict=False):
        up += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2)]
    autoencoder = nn.Sequential(*down, *up)
    last = nn.Conv2d(features[0], 1, 3, padding=1)

    def denoising_loss(x: Any) -> Any:
        uniform = torch.rand_like(x)
        noisy = torch.where(uniform < 0.05, 0.0, torch.where(uniform > 0.95, 1.0, x))
        logits = last(autoencoder(noisy)[..., : shape[0], : shape[1]])
        return cross_entropy(logits, x, reduction="sum") / len(x)

    return nn.ModuleList([autoencoder, last]), denoising_loss


def show(figures: dict[tuple[str, str], Figures], limit: float) -> None:
    """Prints a table of all pairs."""
    from rich.table import Table

    from aejax.host.terminal import PlainConsole

    table = Table(title=f"training in float32; matrix products reach {limit / 1e9:,.0f} GFLOP/s on this machine")
    table.add_column("workload")
    table.add_column("framework")
    for name in ("examples/s", "ms per step", "/ torch", "/ best torch", "of the limit", "compile, s", "peak, GiB"):
        table.add_column(name, justify="right")
    for (workload, framework), row in figures.items():
        others = {f: value.seconds for (w, f), value in figures.items() if w == workload and f != "aejax"}
        operations = getattr(figures.get((workload, "aejax")), "operations", None)
        batch_size = WORKLOADS[workload].batch_size
        table.add_row(
            WORKLOADS[workload].title,
            framework,
            f"{batch_size / row.seconds:,.0f}",
            f"{1e3 * row.seconds:,.1f}",
            f"{row.seconds / others['torch']:.2f}" if "torch" in others else "",
            f"{row.seconds / min(others.values()):.2f}" if others else "",
            f"{operations / row.seconds / limit:.0%}".replace("%", " %") if operations else "",
            f"{row.compile_seconds:.1f}",
            f"{row.peak_bytes / 2**30:.2f}",
        )
    PlainConsole(width=None if sys.stdout.isatty() else 140, soft_wrap=False).print(table)


if __name__ == "__main__":
    command_line.run(main)
