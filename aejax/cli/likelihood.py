"""Estimate the log-likelihood of a run's test examples, by importance sampling and by annealing, with errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aejax.cli import command_line
from aejax.cli.opened import RunOptions
from aejax.host.files import write_text

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    from rich.table import Table

    from aejax.experiment.likelihood_record import RunLikelihood

DESCRIPTION = """Estimate the log-likelihood of a run's test examples, with standard errors.

  aejax likelihood runs/NAME
  aejax likelihood runs/NAME --samples 10000 --examples 10000      importance sampling as in papers
  aejax likelihood runs/NAME --start prior --distributions 10000   annealing as in papers
  aejax likelihood runs/NAME --distributions 0                     importance sampling only

Every row of test examples is a lower bound of log p(x) in expectation, and the higher the closer: the evidence lower
bound (ELBO); the bound of importance weighted autoencoders (IWAE) with half of K samples and with all, so that a bias
shows; annealed importance sampling (AIS) over T distributions with Hamiltonian moves. Of examples that the model itself
has made, AIS bounds log p(x) from below and, in the rows named upper bound, from above: the distance of the two is what
AIS misses. Errors of samples and of the choice of test examples are apart; an upper bound has none, since all its
chains begin in one code, and the distance has its own.

The table is written to likelihood.json in the run folder, and shown by `aejax report`."""


@dataclass(frozen=True)
class Options(RunOptions):
    """Which run, and at what cost."""

    samples: int = 1000
    """Importance sampling: samples of the posterior of each example, K."""
    examples: int = 1000
    """Maximum number of test examples; of more, random ones are used."""
    distributions: int = 500
    """Annealing: number of distributions between start and posterior; 0 leaves annealing out."""
    chains: int = 16
    """Annealing: chains of each example."""
    start: tuple[Literal["prior", "encoder"], ...] = ("encoder",)
    """Annealing: where chains begin, in samples of the prior or of the encoder's posterior; both for two rows."""
    schedule: Literal["linear", "sigmoid"] = "sigmoid"
    """Annealing: the inverse temperatures."""
    annealed_examples: int = 100
    """Annealing: maximum number of test examples, chosen at random among those of --examples."""
    simulated_examples: int = 50
    """Annealing: examples that the model makes, whose log p(x) is bounded from both sides; 0 leaves them out."""
    seed: int = 0
    """Seed of the samples and of the chosen test examples."""


def main(arguments: Sequence[str]) -> None:
    """Parse, estimate, write, print."""
    options = command_line.parse(Options, arguments, description=DESCRIPTION)
    command_line.check_seed(options.seed)
    import jax

    from aejax.experiment.likelihood import Settings, check_settings, evaluate_likelihood
    from aejax.experiment.likelihood_record import FILE, gap_lines, to_json
    from aejax.experiment.progress import reading, working
    from aejax.host.terminal import PlainConsole

    settings = Settings(**{name: getattr(options, name) for name in Settings._fields})
    check_settings(settings)
    console = PlainConsole()
    with working(console, "opening the run"):
        run = options.open_run()
    with reading(console) as on_stage:
        result = evaluate_likelihood(run, settings, devices=jax.local_devices(), on_stage=on_stage)
    write_text(run.path / FILE, to_json(result))
    console.print(_table(result, f"log p(x) of test examples of {run.experiment.data.dataset}, mean"))
    effective = "not finite" if result.effective_samples is None else f"{result.effective_samples:,.1f}"
    for line in (
        f"likelihood {result.likelihood}; data {result.treatment}",
        *gap_lines(result),
        f"effective sample size of the weights: {effective} of {result.samples:,} (median)",
        *(f"warning: {note}" for note in result.notes),
    ):
        console.print(line)
    console.print(f"the numbers are in {run.path / FILE}")


def _table(result: "RunLikelihood", title: str) -> "Table":
    from rich.table import Table

    from aejax.experiment.likelihood_record import shown_mean

    table = Table(title=title, title_justify="left")
    table.add_column("")
    for column in ("examples", "nats", "± samples", "± examples", "bits/dim"):
        table.add_column(column, justify="right")
    for row in result.rows:
        errors = ("-" if error is None else f"{error:.3f}" for error in (row.samples_error, row.examples_error))
        bits = "-" if row.bits_per_dimension is None else f"{row.bits_per_dimension:.4f}"
        table.add_row(row.name, f"{row.examples:,}", shown_mean(row), *errors, bits)
    return table
