"""Times every matrix product of the exact ‖J‖_F² and its gradient alone: a lower bound of their time."""

import functools
import itertools
import math
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

from aejax.cli import command_line
from aejax.errors import UserError

DESCRIPTION = """Time every matrix product of the exact ‖J‖_F² and its gradient alone: a lower bound of their time.

  benchmark_jacobian_products.py                              784-512-256-32, batch 128
  benchmark_jacobian_products.py --widths 3072 1024 512 64    another encoder

These are the products of the method structured for a dense encoder, where W1 is its first layer, G = W1 W1ᵀ, N the
cotangents of all code units at the output of a layer, and M those at the output of the first. Their sum is compared
with the time of the whole value and gradient, as benchmark_jacobian.py measures it: the difference is memory access."""


@dataclass(frozen=True)
class Options:
    """What to measure and how often."""

    widths: tuple[int, ...] = (784, 512, 256, 32)
    """Widths of an example, of the hidden layers, and of the code."""
    batch_size: int = 128
    """Number of examples in a batch."""
    repeats: int = 11
    """Number of runs per product, interleaved; the table shows the median."""


class Product(NamedTuple):
    """A matrix product in the notation of einsum."""

    name: str
    subscripts: str
    left: tuple[int, int]
    right: tuple[int, int]

    @property
    def operations(self) -> int:
        """Number of operations: twice the product of the lengths of the three axes."""
        axes = self.subscripts.split("->")[0].replace(",", "")
        return 2 * math.prod(dict(zip(axes, self.left + self.right, strict=True)).values())


def main() -> None:
    """Parses the options, measures and prints the table."""
    options = command_line.parse(Options, sys.argv[1:], description=DESCRIPTION)
    check(options)
    products = structured_products(options.widths, options.batch_size)
    *milliseconds, whole = measure(products, options)
    show(products, milliseconds, whole)


def check(options: Options) -> None:
    """Raises UserError unless there are at least two layers and all numbers are positive."""
    if len(options.widths) < 3:
        raise UserError(
            f"--widths must be those of an example, of at least one layer and of the code, got {options.widths}"
        )
    for name, number in (
        ("widths", min(options.widths)),
        ("batch-size", options.batch_size),
        ("repeats", options.repeats),
    ):
        if number < 1:
            raise UserError(f"--{name} must be at least 1, got {number}")


def structured_products(widths: tuple[int, ...], batch_size: int) -> list[Product]:
    """Returns the products of value and gradient whose cost grows with rows (batch size x code) or the first layer."""
    features, units = widths[:2]
    rows = batch_size * widths[-1]
    first, gram, m = (features, units), (units, units), (rows, units)
    products = [
        Product("G = W1 W1ᵀ", "dh,dg->hg", first, first),
        Product("M G", "rh,hg->rg", m, gram),
        Product("dG = Mᵀ M", "rh,rg->hg", m, m),
        Product("dW1 = dG W1", "dh,hg->dg", first, gram),
    ]
    for number, (below, above) in enumerate(itertools.pairwise(widths[1:]), 2):
        kernel, upper, lower = (below, above), (rows, above), (rows, below)
        products += [
            Product(f"N{number} W{number}", "ra,ba->rb", upper, kernel),
            Product(f"dN{number} W{number}ᵀ", "rb,ba->ra", lower, kernel),
            Product(f"dW{number} = N{number}ᵀ dN{number}", "rb,ra->ba", lower, upper),
        ]
    return products


def measure(products: list[Product], options: Options) -> list[float]:
    """Returns the milliseconds of each product and, last, of the whole value and gradient."""
    import jax
    import jax.numpy as jnp

    from aejax.jacobian import frobenius_norm_squared
    from aejax.networks import MLP

    encoder: Any = MLP(hidden=options.widths[1:-1], output_shape=options.widths[-1:], activation=jnp.tanh)
    batch = jax.random.uniform(jax.random.key(0), (options.batch_size, options.widths[0]))
    params = encoder.init(jax.random.key(1), batch[0])

    def mean(params: Any, batch: jax.Array) -> jax.Array:
        norm = functools.partial(frobenius_norm_squared, functools.partial(encoder.apply, params), method="structured")
        return jnp.mean(jax.vmap(norm)(batch))

    runs = []
    for product in products:
        operands = map(jax.random.normal, jax.random.split(jax.random.key(2)), (product.left, product.right))
        runs.append(functools.partial(jax.jit(functools.partial(jnp.einsum, product.subscripts)), *operands))
    runs.append(functools.partial(jax.jit(jax.value_and_grad(mean)), params, batch))
    times: list[list[float]] = [[] for _ in runs]
    for repeat in range(options.repeats + 1):
        for run, run_times in zip(runs, times, strict=True):
            start = time.perf_counter()
            jax.block_until_ready(run())
            if repeat:  # the first run compiles
                run_times.append(1e3 * (time.perf_counter() - start))
    return list(map(statistics.median, times))


def show(products: list[Product], milliseconds: list[float], whole: float) -> None:
    """Prints a table of the products, their sum, and the time of the whole value and gradient."""
    from rich.table import Table

    from aejax.host.terminal import PlainConsole

    total, operations = sum(milliseconds), sum(product.operations for product in products)
    table = Table(title="Matrix products, each alone", show_footer=True)
    table.add_column("product", "all")
    table.add_column("ms", f"{total:.1f}", justify="right")
    table.add_column("GFLOP", f"{1e-9 * operations:.1f}", justify="right")
    table.add_column("GFLOP/s", f"{1e-6 * operations / total:.0f}", justify="right")
    for product, time_ms in zip(products, milliseconds, strict=True):
        rate = 1e-6 * product.operations / time_ms
        table.add_row(product.name, f"{time_ms:.1f}", f"{1e-9 * product.operations:.1f}", f"{rate:.0f}")
    console = PlainConsole(width=None if sys.stdout.isatty() else 120, soft_wrap=False)
    console.print(table)
    console.print(f"the whole value and gradient: {whole:.1f} ms; these products alone are {total / whole:.0%} of it")


if __name__ == "__main__":
    command_line.run(main)
