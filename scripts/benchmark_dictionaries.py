"""Measures a training step of TopK and BatchTopK dictionaries, beside its matrix products alone and PyTorch."""

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

from rich.table import Table

from aejax.cli import command_line
from aejax.errors import UserError
from aejax.host.files import write_text
from aejax.host.terminal import PlainConsole

DESCRIPTION = """Measure a training step of sparse dictionaries: forward, backward, Adam, and counters of silent units.

  benchmark_dictionaries.py                                D 576 and 768, F 4,608 and 16,384, B 1,024 and 4,096
  benchmark_dictionaries.py --shapes 576x4608x1024         one shape, DxFxB
  benchmark_dictionaries.py --json figures.json            also save the table

Every pair of shape and program runs in its own process, to measure its memory, and the rounds are interleaved, so that
other load on the machine affects all programs equally. Times are medians over rounds of the median step. On a GPU, both
libraries use it, and TF32 in products; memory is then that of the GPU. "products" are
the five dense matrix products of a step alone, by XLA: 10 B D F operations; the column "of products" is their time
divided by a program's. "generation" makes the B examples of a step from the 16,384 features of SynthSAEBench, whatever
F is. torch is the same TopK step in PyTorch, eager and compiled; it is skipped if PyTorch is not
installed.

What limits a step on two cores, at D 576, F 4,608, B 1,024: products take 110 of 165 ms. Of the rest, 15 are the
selection (lax.top_k of 1,024 rows), 6 are Adam on 5.3 million parameters, and the others are passes over arrays of
19 MB (bias and rectifier, mask, its gradient, zeros where no unit is dead). With more features or examples TopK needs
1.3 to 1.4 times the products. A decoder that gathers only the k active rows is slower than the dense product there, 82
against 48 ms, and is not used. On an H200, where the products take 0.2 ms, a step of 0.6 ms is bound by reading and
writing the same arrays, and by the start of about a hundred kernels."""

PROGRAMS = ("products", "top_k", "batch_top_k", "generation", "torch", "torch.compile")
K = 32
_CALLS = 20  # steps that are timed together on a GPU, where they are only begun when a call returns
SHAPES = tuple(f"{d}x{f}x{b}" for d in (576, 768) for f in (4608, 16384) for b in (1024, 4096))


@dataclass(frozen=True)
class Options:
    """What to measure and how often."""

    shapes: tuple[str, ...] = SHAPES
    """Features, units and examples, as 576x4608x1024."""
    programs: tuple[str, ...] = PROGRAMS
    """Any of products, top_k, batch_top_k, generation, torch (eager), torch.compile."""
    rounds: int = 3
    """Number of runs of every pair."""
    steps: int = 7
    """Steps of a run; the first two are not counted."""
    json: Path | None = None
    """File to save the results in."""


@dataclass
class Figures:
    """The results of one shape and program."""

    seconds: float  # the median step
    peak_bytes: int  # largest memory: resident, of the process; on a GPU allocated there


class Prepared(NamedTuple):
    """A program that is ready to be timed."""

    begin: Callable[[], Any]  # takes a step, or begins one on a GPU
    wait: Callable[[Any], Any]  # returns when the step that returned this has ended
    peak_on_gpu: Callable[[], int] | None  # None without a GPU


def main() -> None:
    """Runs all pairs, interleaved, prints the table and saves it."""
    if sys.argv[1:2] == ["--worker"]:
        shape, program, steps = sys.argv[2:5]
        print(json.dumps(asdict(work(sizes_of(shape), program, int(steps)))))
        return
    options = command_line.parse(Options, sys.argv[1:], description=DESCRIPTION)
    check(options)
    has_torch = importlib.util.find_spec("torch") is not None
    programs = [name for name in options.programs if has_torch or not name.startswith("torch")]
    pairs = [(shape, program) for shape in options.shapes for program in programs]
    rounds: dict[tuple[str, str], list[Figures]] = {pair: [] for pair in pairs}
    for number in range(options.rounds):
        for shape, program in pairs:
            print(f"round {number + 1}/{options.rounds}: {shape}, {program}", file=sys.stderr)
            command = [sys.executable, __file__, "--worker", shape, program, str(options.steps)]
            finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            rounds[shape, program].append(Figures(**json.loads(finished.stdout.splitlines()[-1])))
    figures = {
        pair: Figures(statistics.median(one.seconds for one in found), max(one.peak_bytes for one in found))
        for pair, found in rounds.items()
    }
    show(figures)
    if options.json:
        rows = [{"shape": shape, "program": program, **asdict(value)} for (shape, program), value in figures.items()]
        write_text(options.json, json.dumps({"rows": rows}, indent=2) + "\n")


def check(options: Options) -> None:
    """Raises UserError unless all names and numbers are valid."""
    if unknown := [name for name in options.programs if name not in PROGRAMS]:
        raise UserError(f"--programs must be one or more of {', '.join(PROGRAMS)}, got {', '.join(unknown)}")
    for shape in options.shapes:
        sizes_of(shape)
    if options.rounds < 1:
        raise UserError(f"--rounds must be at least 1, got {options.rounds}")
    if options.steps < 3:
        raise UserError(f"--steps must be at least 3, got {options.steps}")


def sizes_of(shape: str) -> tuple[int, int, int]:
    """Returns D, F and B; UserError unless the text has this form and F is at least k."""
    parts = shape.split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in parts):
        raise UserError(f"--shapes must be features, units and examples, such as 576x4608x1024, got {shape}")
    features, units, examples = map(int, parts)
    if units < K:
        raise UserError(f"--shapes must have at least {K} units, got {shape}")
    return features, units, examples


def work(sizes: tuple[int, int, int], program: str, steps: int) -> Figures:
    """Times one pair in this process."""
    own = {"products": products, "generation": generation, "torch": torch_step, "torch.compile": torch_step}
    run = own.get(program, aejax_step)
    prepared = run(sizes, program)
    calls = 1 if prepared.peak_on_gpu is None else _CALLS
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        for _ in range(calls):
            begun = prepared.begin()
        prepared.wait(begun)
        seconds.append((time.perf_counter() - start) / calls)
    return Figures(statistics.median(seconds[2:]), (prepared.peak_on_gpu or resident_peak)())


def resident_peak() -> int:
    """Returns the largest resident memory of this process, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in kilobytes on Linux, in bytes on macOS
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def in_jax(begin: Callable[[], Any]) -> Prepared:
    """Returns a program of JAX, ready to be timed."""
    import jax

    def peak_on_gpu() -> int:
        statistics = jax.local_devices()[0].memory_stats()
        return int(statistics["peak_bytes_in_use"])

    return Prepared(begin, jax.block_until_ready, peak_on_gpu if jax.default_backend() == "gpu" else None)


def products(sizes: tuple[int, int, int], program: str) -> Prepared:
    """Returns the five dense products of a step: two of the code, the gradients of two kernels and of the code."""
    del program
    import jax

    features, units, _ = sizes
    x, kernel = jax.device_put((data(sizes), weights(features, units)))

    @jax.jit
    def multiply(x: Any, kernel: Any) -> Any:
        codes = x @ kernel
        decoded = codes @ kernel.T
        of_codes = decoded @ kernel
        return codes.T @ decoded, x.T @ of_codes

    return in_jax(lambda: multiply(x, kernel))


def generation(sizes: tuple[int, int, int], program: str) -> Prepared:
    """Returns the generation of B examples of D features, in the program that trains on them."""
    del program
    import jax

    from aejax.datasets.synthetic_features.generator import make_feature_model, sample_x
    from aejax.datasets.synthetic_features.setting import SETTINGS

    features, _, examples = sizes
    # how orthogonal the features are changes no cost
    setting = SETTINGS["synth_sae_bench_16k"]._replace(dimensions=features, orthogonal_steps=0)
    model = make_feature_model(jax.random.key(0), setting)
    generate = jax.jit(lambda key: jax.vmap(lambda key: sample_x(model, key, setting))(jax.random.split(key, examples)))
    key = jax.random.key(1)
    return in_jax(lambda: generate(key))


def aejax_step(sizes: tuple[int, int, int], program: str) -> Prepared:
    """Returns a step of this loop, as `train` compiles it."""
    from functools import partial

    import jax
    import optax

    from aejax import autoencoders
    from aejax.training import AXIS, create_state, train_step

    features, units, _ = sizes
    autoencoder = getattr(autoencoders, program)(features, units, k=K)
    optimizer = optax.adam(1e-4)
    x = jax.device_put(data(sizes))[None]
    step = partial(train_step, autoencoder, optimizer)
    compiled = jax.pmap(
        step, AXIS, in_axes=(None, 0), out_axes=(None, None), devices=jax.devices()[:1], donate_argnums=0
    )
    state = create_state(autoencoder, optimizer, jax.random.key(0), x[0, 0])

    def begin() -> Any:
        nonlocal state
        state, _ = compiled(state, x)
        return state

    return in_jax(begin)


def torch_step(sizes: tuple[int, int, int], program: str) -> Prepared:
    """Returns the TopK step in PyTorch."""
    import torch

    features, units, _ = sizes
    has_gpu = torch.cuda.is_available()
    torch.set_default_device("cuda" if has_gpu else "cpu")
    torch.set_float32_matmul_precision("high")  # TF32, as JAX has it
    x, kernel = torch.tensor(data(sizes)), torch.tensor(weights(features, units))
    encoder, decoder = (torch.nn.Parameter(array.contiguous()) for array in (kernel, kernel.T))
    encoder_bias, decoder_bias = torch.nn.Parameter(torch.zeros(units)), torch.nn.Parameter(torch.zeros(features))
    parameters = [encoder, decoder, encoder_bias, decoder_bias]
    optimizer = torch.optim.Adam(parameters, lr=1e-4, fused=True)
    silent = torch.zeros(units, dtype=torch.int64)

    def loss_of(x: Any) -> tuple[Any, Any]:
        pre_activations = (x - decoder_bias) @ encoder + encoder_bias
        values, places = torch.topk(pre_activations, K, dim=1, sorted=False)
        codes = torch.zeros_like(pre_activations).scatter(1, places, torch.relu(values))
        errors = x - codes @ decoder - decoder_bias
        return errors.square().sum(1).mean(), places

    compute = torch.compile(loss_of) if program == "torch.compile" else loss_of

    def begin() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss, places = compute(x)
        loss.backward()
        optimizer.step()
        fired = torch.zeros(units, dtype=torch.bool).index_fill_(0, places.reshape(-1), True)
        silent.add_(len(x)).masked_fill_(fired, 0)

    def wait(_: Any) -> None:
        if has_gpu:
            torch.cuda.synchronize()

    return Prepared(begin, wait, torch.cuda.max_memory_allocated if has_gpu else None)


def data(sizes: tuple[int, int, int]) -> Any:
    """Returns B examples."""
    import numpy as np

    features, _, examples = sizes
    return np.random.default_rng(0).normal(size=(examples, features)).astype(np.float32)


def weights(features: int, units: int) -> Any:
    """Returns an encoder's kernel."""
    import numpy as np

    return (np.random.default_rng(1).normal(size=(features, units)) / features**0.5).astype(np.float32)


def show(figures: dict[tuple[str, str], Figures]) -> None:
    """Prints the table."""
    table = Table("D x F x B", "program", "step, ms", "examples/s", "of products", "of torch", "peak memory, GB")
    for (shape, program), value in figures.items():
        alone = figures.get((shape, "products"))
        peers = [figures[shape, name].seconds for name in ("torch", "torch.compile") if (shape, name) in figures]
        table.add_row(
            shape,
            program,
            f"{1000 * value.seconds:.0f}" if value.seconds >= 0.1 else f"{1000 * value.seconds:.3g}",
            f"{sizes_of(shape)[2] / value.seconds:,.0f}",
            "" if alone is None else f"{alone.seconds / value.seconds:.2f}",
            "" if not peers else f"{min(peers) / value.seconds:.2f}",
            f"{value.peak_bytes / 1e9:.2f}",
        )
    PlainConsole(width=None if sys.stdout.isatty() else 140, soft_wrap=False).print(table)


if __name__ == "__main__":
    command_line.run(main)
