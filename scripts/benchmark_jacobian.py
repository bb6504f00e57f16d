"""Measures time, memory, operations and error of ‖J‖_F² and its gradient, by every method and by PyTorch."""

import functools
import importlib.util
import itertools
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from aejax.cli import command_line
from aejax.errors import UserError
from aejax.host.files import write_text

DESCRIPTION = """Measure time, memory, operations and error of ‖J‖_F² and its gradient, by every method.

  benchmark_jacobian.py                                        all encoders, a few minutes, most of it for jacfwd
  benchmark_jacobian.py --encoders mlp --methods auto jacrev   one encoder, two methods
  benchmark_jacobian.py --batch-size 32 --json figures.json    also save the table

Times are medians over interleaved runs, so that other load on the machine affects all rows equally: compare only rows
of the same run. With the bench extra (pip install 'aejax[bench]'), torch.func.jacrev, torch.func.jacfwd and a loop of
torch.autograd are measured on the same number of threads.

What limits the results: on a CPU, matrix products and then memory. Value and gradient for 784-512-256-32 and batch 128
need 13.7 GFLOP of matrix products with jacrev and 8.9 with structured; for 3072-1024-512-64 they need 184 and 77. At
the same rate of operations, structured takes at least 0.65 and 0.42 of the time of jacrev.
benchmark_jacobian_products.py times these products alone. XLA spends the rest on writing M, multiplied by the
derivatives of the activations, which the products then read."""

ENCODERS: dict[str, tuple[tuple[int, ...], str]] = {
    "mlp": ((784, 512, 256, 32), "tanh"),
    "sigmoid": ((784, 1000), "sigmoid"),
    "large": ((3072, 1024, 512, 64), "tanh"),
    "conv": ((784, 32), "relu"),  # ConvEncoder of a 28x28 image, two blocks
    "wide": ((100_000, 256, 16), "tanh"),
}
METHODS = ("auto", "structured", "jacrev", "jacfwd")
OF_TORCH = ("torch.jacrev", "torch.jacfwd", "torch.autograd")
GIB = 2**30


@dataclass(frozen=True)
class Options:
    """What to measure and how often."""

    encoders: tuple[str, ...] = tuple(ENCODERS)
    """Any of mlp (784-512-256-32 tanh), sigmoid (784-1000), large (3072-1024-512-64 tanh), conv (28x28 images), wide
    (100,000-256-16 tanh)."""
    methods: tuple[str, ...] = METHODS + OF_TORCH
    """Any of auto, structured, jacrev, jacfwd, and with PyTorch, if it is installed, torch.jacrev, torch.jacfwd,
    torch.autograd (a loop over the code)."""
    batch_size: int = 128
    """Number of examples in a batch."""
    chunk_size: int | None = None
    """Number of tangents or cotangents that are computed at a time; all at once by default."""
    repeats: int = 7
    """Number of runs per row; the table shows the median."""
    row_seconds: float = 15.0
    """Seconds after which a row is not repeated, even if fewer than --repeats runs are done."""
    memory_limit: float = 8.0
    """GiB of temporary arrays above which a row is only compiled, not run."""
    json: Path | None = None
    """File to save the rows in."""


@dataclass
class Row:
    """One row of the table: times in milliseconds, memory in bytes, None if not measured."""

    encoder: str
    method: str
    value: float | None = None
    gradient: float | None = None  # time of value and gradient together
    peak: int | None = None  # bytes of temporary arrays for value and gradient
    flops: float | None = None
    error: float | None = None  # largest relative error compared with float64
    note: str = ""


class Candidate(NamedTuple):
    """A row and the functions to time for it."""

    row: Row
    value: Callable[[], Any]
    gradient: Callable[[], Any]


def main() -> None:
    """Parses the options, measures, prints the table and saves it."""
    options = command_line.parse(Options, sys.argv[1:], description=DESCRIPTION)
    check(options)
    rows: list[Row] = []
    for encoder in options.encoders:
        rows += measure(encoder, options)
    show(rows, options)
    if options.json:
        write_text(options.json, json.dumps([asdict(row) for row in rows], indent=2) + "\n")


def check(options: Options) -> None:
    """Raises UserError unless all names are known and all numbers are positive."""
    for name, values, known in (
        ("encoders", options.encoders, ENCODERS),
        ("methods", options.methods, METHODS + OF_TORCH),
    ):
        if unknown := [value for value in values if value not in known]:
            raise UserError(f"--{name} must be one or more of {', '.join(known)}, got {', '.join(unknown)}")
    if not options.row_seconds > 0:
        raise UserError(f"--row-seconds must be above 0, got {options.row_seconds}")
    for name in ("batch_size", "repeats", "chunk_size"):
        number = getattr(options, name)
        if number is not None and number < 1:
            raise UserError(f"--{name.replace('_', '-')} must be at least 1, got {number}")


def measure(encoder: str, options: Options) -> list[Row]:
    """Returns all rows of an encoder, whose runs are interleaved."""
    rows, candidates = jax_candidates(encoder, options)
    candidates += torch_candidates(encoder, options)
    times: list[tuple[list[float], list[float]]] = [([], []) for _ in candidates]
    print(f"{encoder}: {', '.join(candidate.row.method for candidate in candidates)}", file=sys.stderr)
    for repeat in range(options.repeats + 1):
        for candidate, row_times in zip(candidates, times, strict=True):
            if repeat > 1 and sum(map(sum, row_times)) > 1e3 * options.row_seconds:
                continue
            for run, run_times in zip((candidate.value, candidate.gradient), row_times, strict=True):
                start = time.perf_counter()
                run()
                if repeat:  # the first run is a warm-up
                    run_times.append(1e3 * (time.perf_counter() - start))
    for candidate, (value, gradient) in zip(candidates, times, strict=True):
        candidate.row.value, candidate.row.gradient = statistics.median(value), statistics.median(gradient)
    known = {id(row) for row in rows}
    return rows + [candidate.row for candidate in candidates if id(candidate.row) not in known]


def jax_candidates(encoder: str, options: Options) -> tuple[list[Row], list[Candidate]]:
    """Returns the rows of all methods of JAX, compiled, and candidates for those within the memory limit."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from aejax.jacobian import contractive_penalty_of_sigmoid_layer, frobenius_norm_squared

    params, encode, shape = build(encoder)
    batch = jax.random.uniform(jax.random.key(1), (options.batch_size, *shape))
    expected = reference(encoder, params, batch[:4])

    def norm_by(method: str) -> Callable[[Any, Any], Any]:
        knobs: dict[str, Any] = {"method": method, "chunk_size": options.chunk_size}
        return lambda params, x: frobenius_norm_squared(functools.partial(encode, params), x, **knobs)

    methods = [method for method in METHODS if method in options.methods]
    norms = {method: norm_by(method) for method in methods if (encoder, method) != ("conv", "structured")}

    def mean_of(norm: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda params, batch: jnp.mean(jax.vmap(norm, in_axes=(None, 0))(params, batch))

    losses = {method: mean_of(norm) for method, norm in norms.items()}
    if encoder == "sigmoid":  # also the loss of a training step with tied weights, without and with the penalty

        def cross_entropy(params: Any, x: Any) -> Any:
            logits = encode(params, x) @ params[0][0].T
            return jnp.sum(jax.nn.softplus(logits) - x * logits)

        def closed_form(params: Any, x: Any) -> Any:
            return contractive_penalty_of_sigmoid_layer(encode(params, x), params[0][0])

        def penalized(params: Any, x: Any) -> Any:
            return cross_entropy(params, x) + 0.1 * closed_form(params, x)

        norms["closed form"] = closed_form
        losses |= {"closed form": mean_of(closed_form), "reconstruction": mean_of(cross_entropy)}
        losses["reconstruction, closed form"] = mean_of(penalized)
    rows, candidates = [], []
    for name, loss in losses.items():
        value = jax.jit(loss).lower(params, batch).compile()
        gradient = jax.jit(jax.value_and_grad(loss)).lower(params, batch).compile()
        memory: Any = gradient.memory_analysis()
        row = Row(encoder, name, peak=memory.temp_size_in_bytes)
        row.flops = (gradient.cost_analysis() or {}).get("flops")
        rows.append(row)
        if (row.peak or 0) > options.memory_limit * GIB:
            row.note = "above the memory limit: not run"
            continue
        if name in norms:
            got = jax.jit(jax.vmap(norms[name], in_axes=(None, 0)))(params, batch[:4])
            row.error = float(np.max(np.abs(np.asarray(got, np.float64) / expected - 1)))
        runs = (functools.partial(wait_for, run, params, batch) for run in (value, gradient))
        candidates.append(Candidate(row, *runs))
    return rows, candidates


def wait_for(run: Callable[..., Any], *arguments: Any) -> None:
    """Runs a compiled function and waits for its result."""
    import jax

    jax.block_until_ready(run(*arguments))


def build(encoder: str) -> tuple[Any, Callable[[Any, Any], Any], tuple[int, ...]]:
    """Returns parameters, the function that encodes one example, and the shape of an example."""
    import jax
    import jax.numpy as jnp

    from aejax.networks import ConvEncoder

    widths, activation = ENCODERS[encoder]
    if encoder == "conv":
        module = ConvEncoder(features=(16, 8), code_size=widths[-1])
        return module.init(jax.random.key(0), jnp.ones((28, 28))), module.apply, (28, 28)
    function = getattr(jax.nn, activation)
    initialize = jax.nn.initializers.lecun_normal()
    keys = jax.random.split(jax.random.key(0), len(widths) - 1)
    pairs = zip(keys, widths[:-1], widths[1:], strict=True)
    params = [(initialize(key, (below, above)), jnp.zeros(above)) for key, below, above in pairs]

    def encode(params: Any, x: Any) -> Any:
        for kernel, bias in params:
            x = function(x @ kernel + bias)
        return x

    return params, encode, widths[:1]


def reference(encoder: str, params: Any, batch: Any) -> Any:
    """Returns ‖J‖_F² in float64, by jacfwd, or by jacrev for the wide encoder, whose 100,000 tangents take hours."""
    import jax
    import numpy as np

    from aejax.jacobian import frobenius_norm_squared

    _, encode, _ = build(encoder)
    method, chunk_size = ("jacrev", None) if encoder == "wide" else ("jacfwd", 128)
    with jax.enable_x64(True):
        params, batch = jax.tree.map(lambda leaf: jax.numpy.asarray(leaf, "float64"), (params, batch))
        norm = functools.partial(
            frobenius_norm_squared, functools.partial(encode, params), method=method, chunk_size=chunk_size
        )
        return np.asarray(jax.jit(lambda batch: jax.lax.map(norm, batch))(batch))


def torch_candidates(encoder: str, options: Options) -> list[Candidate]:
    """Returns candidates for PyTorch's three methods; none if PyTorch is not installed."""
    chosen = [name for name in OF_TORCH if name in options.methods and encoder != "conv"]
    if not chosen or not importlib.util.find_spec("torch"):
        return []
    import torch

    widths, activation = ENCODERS[encoder]
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(b, a, generator=generator) / a**0.5 for a, b in itertools.pairwise(widths)]
    weights = [weight.requires_grad_() for weight in weights]
    batch = torch.rand(options.batch_size, widths[0], generator=generator)

    def encode(x: Any) -> Any:
        for weight in weights:
            x = getattr(torch, activation)(torch.nn.functional.linear(x, weight))
        return x

    def by(transform: Any) -> Any:
        return torch.func.vmap(lambda x: transform(encode)(x).square().sum())(batch).mean()

    def loop() -> Any:
        x = batch.clone().requires_grad_()
        code = encode(x)
        rows = (torch.autograd.grad(code[:, k].sum(), x, create_graph=True)[0] for k in range(code.shape[1]))
        return sum(row.square().sum() for row in rows) / len(batch)

    norms: dict[str, Callable[[], Any]] = {
        "torch.jacrev": lambda: by(torch.func.jacrev),
        "torch.jacfwd": lambda: by(torch.func.jacfwd),
        "torch.autograd": loop,
    }
    # for the gradient, jacrev and the loop store the whole Jacobian twice, jacfwd the tangents of every layer
    sizes = {name: widths[0] * (sum(widths) if name == "torch.jacfwd" else 4 * widths[-1]) for name in chosen}
    fitting = [name for name in chosen if 4 * options.batch_size * sizes[name] < options.memory_limit * GIB]

    def differentiate(norm: Callable[[], Any]) -> None:
        torch.autograd.grad(norm(), weights)

    return [
        Candidate(Row(encoder, name), norms[name], functools.partial(differentiate, norms[name])) for name in fitting
    ]


def show(rows: list[Row], options: Options) -> None:
    """Prints a table of all rows, with the ratios of value and gradient to jacfwd and to torch.jacrev."""
    from rich.table import Table

    from aejax.host.terminal import PlainConsole

    table = Table(title=f"‖J‖_F², batch {options.batch_size}, median of up to {options.repeats} interleaved runs")
    for name in ("encoder", "method"):
        table.add_column(name)
    for name in ("value, ms", "value + gradient, ms", "/ jacfwd", "/ torch jacrev", "peak, MiB", "GFLOP", "error"):
        table.add_column(name, justify="right")
    times = {(row.encoder, row.method): row.gradient for row in rows}

    def ratio(row: Row, method: str) -> str:
        base = times.get((row.encoder, method))
        return f"{row.gradient / base:.3f}" if base and row.gradient else ""

    for row in rows:
        table.add_row(
            row.encoder,
            row.method,
            f"{row.value:.1f}" if row.value else row.note,
            f"{row.gradient:.1f}" if row.gradient else "",
            ratio(row, "jacfwd"),
            ratio(row, "torch.jacrev"),
            f"{row.peak / 2**20:.0f}" if row.peak is not None else "",
            f"{row.flops / 1e9:.1f}" if row.flops else "",
            f"{row.error:.0e}" if row.error is not None else "",
        )
    console = PlainConsole(width=None if sys.stdout.isatty() else 120, soft_wrap=False)
    console.print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    console.print(f"largest resident memory of this process: {peak / 2**20:.2f} GiB")


if __name__ == "__main__":
    command_line.run(main)
