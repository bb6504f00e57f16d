"""What bounds the exact ‖J‖_F²: every matrix product of its value and gradient, timed alone."""

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

DESCRIPTION = """What bounds the exact ‖J‖_F²: every matrix product of its value and gradient, timed alone.

  benchmark_jacobian_products.py                              784-512-256-32, batch 128
  benchmark_jacobian_products.py --widths 3072 1024 512 64    another encoder

They are those of the method structured for a dense encoder: with W1 its first layer, G = W1 W1ᵀ, N the rows that a
cotangent of each code is at the output of a layer, M those of the first. Beside their sum stands the whole value and
gradient, as benchmark_jacobian.py times it: what is between the two are passes over memory."""


@dataclass(frozen=True)
class Options:
    """What to measure, and how often."""

    widths: tuple[int, ...] = (784, 512, 256, 32)
    """Of an example, of the layers, and of the code."""
    batch_size: int = 128
    """Examples in a batch."""
    repeats: int = 11
    """Runs of each product, in turns; the median is shown."""


class Product(NamedTuple):
    """One matrix product, as einsum has it."""

    name: str
    subscripts: str
    left: tuple[int, int]
    right: tuple[int, int]

    @property
    def operations(self) -> int:
        """Twice the product of the lengths of its three axes."""
        axes = self.subscripts.split("->")[0].replace(",", "")
        return 2 * math.prod(dict(zip(axes, self.left + self.right, strict=True)).values())


def main() -> None:
    """Parse, measure and print."""
    options = command_line.parse(Options, sys.argv[1:], description=DESCRIPTION)
    check(options)
    products = structured_products(options.widths, options.batch_size)
    *milliseconds, whole = measure(products, options)
    show(products, milliseconds, whole)


def check(options: Options) -> None:
    """UserError unless there are two layers and all numbers are positive."""
    if len(options.widths) < 3:
        raise UserError(f"--widths must name an example's, at least one layer's and a code's, got {options.widths}")
    for name, number in (
        ("widths", min(options.widths)),
        ("batch-size", options.batch_size),
        ("repeats", options.repeats),
    ):
        if number < 1:
            raise UserError(f"--{name} must be at least 1, got {number}")


def structured_products(widths: tuple[int, ...], batch_size: int) -> list[Product]:
    """All products of value and gradient whose cost grows with rows or with the first layer."""
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
    """Milliseconds of each product, and last of the whole."""
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
    for turn in range(options.repeats + 1):
        for run, of_run in zip(runs, times, strict=True):
            start = time.perf_counter()
            jax.block_until_ready(run())
            if turn:  # the first one compiles
                of_run.append(1e3 * (time.perf_counter() - start))
    return list(map(statistics.median, times))


def show(products: list[Product], milliseconds: list[float], whole: float) -> None:
    """Print a table, its sum, and the whole."""
    from rich.table import Table

    from aejax.host.terminal import PlainConsole

    total, operations = sum(milliseconds), sum(product.operations for product in products)
    table = Table(title="Matrix products, each alone", show_footer=True)
    table.add_column("product", "all")
    table.add_column("ms", f"{total:.1f}", justify="right")
    table.add_column("GFLOP", f"{1e-9 * operations:.1f}", justify="right")
    table.add_column("GFLOP/s", f"{1e-6 * operations / total:.0f}", justify="right")
    for product, time_of_one in zip(products, milliseconds, strict=True):
        rate = 1e-6 * product.operations / time_of_one
        table.add_row(product.name, f"{time_of_one:.1f}", f"{1e-9 * product.operations:.1f}", f"{rate:.0f}")
    console = PlainConsole(width=None if sys.stdout.isatty() else 120, soft_wrap=False)
    console.print(table)
    console.print(f"the whole value and gradient: {whole:.1f} ms, {total / whole:.0%} of them these products alone")


if __name__ == "__main__":
    command_line.run(main)
