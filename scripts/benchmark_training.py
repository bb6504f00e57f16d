"""Training speed through the library's own loop, metrics and evaluation included, beside PyTorch's."""

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

DESCRIPTION = """Training speed through the library's own loop, beside PyTorch where it is installed.

  benchmark_training.py                                    every workload, a few minutes
  benchmark_training.py --workloads vae --rounds 5         one workload, more rounds
  benchmark_training.py --json figures.json                save what is printed

Every workload and framework runs in a process of its own, in turns, so that memory is its own and whatever else the
machine does strikes all; a figure is the median over the rounds. Ours is an epoch of `aejax.training.train`, with every
metric and an evaluation of a tenth as many examples; PyTorch's is a bare loop over steps without either. "of the
limit" compares the operations that the step needs, by XLA's count, with what this machine reaches in matrix products.

What bounds a step on two cores: that of the variational autoencoder, matrix products, 2.45 of 3.1 ms with a plain
descent step, since at 128 rows they reach 180 of the 200 GFLOP/s of large ones; Adam adds 0.2, and the loss and the
random numbers run beside them. That of the denoiser, memory: of 89 ms the convolution and
pooling at full size take some 35, passes over arrays of 25 MB, the convolution of 64 channels to 32 takes 19.

What a step costs on n devices: a ring all-reduce moves 8 P (n - 1) / n bytes through every device for P parameters in
float32, and a dense step takes some 6 P b operations for b examples on each. At F operations a second and W bytes a
second communication hides behind computation from b = 4/3 (n - 1)/n F/W examples per device on, whatever P: with F =
200e12, some 520 on 8 GPUs joined at 450e9 bytes a second, and 5,300 on 256 hosts joined at 50e9."""

FRAMEWORKS = ("aejax", "torch", "torch.channels_last", "torch.compile")


class Workload(NamedTuple):
    """What is trained; a tenth as many examples are evaluated."""

    title: str
    shape: tuple[int, ...]
    batch_size: int
    steps: int  # of an epoch
    epochs: int  # that are timed


WORKLOADS = {
    "vae": Workload("VAE 784-400-20", (28, 28, 1), 128, 100, 5),
    "denoiser": Workload("denoiser 64-32-16, 28x28", (28, 28, 1), 128, 6, 3),
    "document": Workload("denoiser 32-16, 258x540", (258, 540, 1), 2, 3, 3),
    "contractive": Workload("contractive 784-512-256-32", (28, 28, 1), 128, 10, 4),
}


@dataclass(frozen=True)
class Options:
    """What to measure, and how often."""

    workloads: tuple[str, ...] = tuple(WORKLOADS)
    """Of vae, denoiser, document, contractive."""
    frameworks: tuple[str, ...] = FRAMEWORKS
    """Of aejax, torch (eager), torch.channels_last, torch.compile; those of PyTorch are left out where it is not
    installed."""
    rounds: int = 3
    """Turns of every pair."""
    json: Path | None = None
    """A file to save the figures in."""


@dataclass
class Figures:
    """Of one workload by one framework."""

    seconds: float  # of a step, in the median epoch
    compile_seconds: float  # of the first epoch, beyond what a later one takes
    peak_bytes: int  # resident, of the whole process
    operations: float | None = None  # of a step


def main() -> None:
    """Run every pair in turns, print and save."""
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
    """UserError unless the names are known and there is a round."""
    for name, values, known in (
        ("workloads", options.workloads, tuple(WORKLOADS)),
        ("frameworks", options.frameworks, FRAMEWORKS),
    ):
        if unknown := [value for value in values if value not in known]:
            raise UserError(f"--{name} must be of {', '.join(known)}, got {', '.join(unknown)}")
    if options.rounds < 1:
        raise UserError(f"--rounds must be at least 1, got {options.rounds}")


def applies(workload: str, framework: str) -> bool:
    """Whether a pair makes sense: channels_last is for images, and a compiled function has no Jacobian of its own."""
    excluded = {"torch.channels_last": ("vae", "contractive"), "torch.compile": ("contractive",)}
    return workload not in excluded.get(framework, ())


def in_own_process(workload: str, framework: str) -> Figures:
    """The figures that a worker prints."""
    command = [sys.executable, __file__, "--worker", workload, framework]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Figures(**json.loads(finished.stdout.splitlines()[-1]))


def median_of(rounds: list[Figures]) -> Figures:
    """Medians of the times, the largest memory."""
    return Figures(
        statistics.median(one.seconds for one in rounds),
        statistics.median(one.compile_seconds for one in rounds),
        max(one.peak_bytes for one in rounds),
        rounds[0].operations,
    )


def matmul_limit() -> float:
    """Operations a second of the fastest of a few matrix products in float32."""
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
    """Train and time one pair in this process."""
    run = train_ours if framework == "aejax" else train_torch
    epoch_seconds, operations = run(workload, framework)
    first, *others = epoch_seconds
    usual = statistics.median(others)
    # ru_maxrss is in kilobytes on Linux, in bytes on macOS
    unit = 1 if sys.platform == "darwin" else 1024
    peak = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Figures(usual / WORKLOADS[workload].steps, max(0.0, first - usual), peak, operations)


def train_ours(name: str, framework: str) -> tuple[list[float], float | None]:
    """Seconds of each epoch of the loop, and the operations of a step by XLA's count."""
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

    def slope(params: Any, batch: Any) -> Any:
        one_device = jax.vmap(
            lambda batch: jax.grad(autoencoder.loss, has_aux=True)(params, jax.random.key(0), as_batch(batch))[0],
            axis_name=AXIS,
        )
        return one_device(batch[None])

    lowered = jax.jit(slope).lower(snapshot.state.params, x[: workload.batch_size])
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
    """The autoencoder of a workload."""
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
    """Seconds of each epoch of a bare loop over steps."""
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
    """The modules of a workload, and its loss of a batch (B, C, H, W), as PyTorch's users write them."""
    import torch
    from torch import nn
    from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

    shape = WORKLOADS[name].shape
    if name == "vae":
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40))
        decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))

        def bound(x: Any) -> Any:
            mean, log_variance = encoder(x).chunk(2, dim=1)
            code = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            reconstruction = cross_entropy(decoder(code), x.flatten(1), reduction="sum")
            kl = 0.5 * torch.sum(mean.square() + log_variance.exp() - 1 - log_variance)
            return (reconstruction + kl) / len(x)

        return nn.ModuleList([encoder, decoder]), bound
    if name == "contractive":
        layers = [nn.Linear(784, 512), nn.Tanh(), nn.Linear(512, 256), nn.Tanh(), nn.Linear(256, 32)]
        encoder = nn.Sequential(*layers)
        layers = [nn.Linear(32, 256), nn.Tanh(), nn.Linear(256, 512), nn.Tanh(), nn.Linear(512, 784)]
        decoder = nn.Sequential(*layers)

        def contracted(x: Any) -> Any:
            x = x.flatten(1)
            jacobian = torch.func.vmap(torch.func.jacrev(encoder))(x)
            reconstruction = cross_entropy(decoder(encoder(x)), x, reduction="sum")
            return (reconstruction + 0.1 * jacobian.square().sum()) / len(x)

        return nn.ModuleList([encoder, decoder]), contracted
    features = (64, 32, 16) if name == "denoiser" else (32, 16)
    down: list[Any] = []
    for before, after in zip((1, *features), features, strict=False):
        down += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
    up: list[Any] = []
    for before, after in zip((features[-1], *features[::-1]), features[::-1], strict=False):
        up += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2)]
    autoencoder = nn.Sequential(*down, *up)
    last = nn.Conv2d(features[0], 1, 3, padding=1)

    def denoised(x: Any) -> Any:
        uniform = torch.rand_like(x)
        noisy = torch.where(uniform < 0.05, 0.0, torch.where(uniform > 0.95, 1.0, x))
        logits = last(autoencoder(noisy)[..., : shape[0], : shape[1]])
        return cross_entropy(logits, x, reduction="sum") / len(x)

    return nn.ModuleList([autoencoder, last]), denoised


def show(figures: dict[tuple[str, str], Figures], limit: float) -> None:
    """Print a table of all pairs."""
    from rich.table import Table

    from aejax.host.terminal import PlainConsole

    table = Table(title=f"training in float32; matrix products reach {limit / 1e9:,.0f} GFLOP/s here")
    table.add_column("workload")
    table.add_column("framework")
    for name in ("images/s", "ms a step", "/ torch", "/ best torch", "of the limit", "compile s", "peak GiB"):
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
