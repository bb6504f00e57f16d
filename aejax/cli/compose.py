"""Compose with a variational autoencoder of chorales: MIDI files, piano rolls, and the bound on held-out chorales."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from aejax.cli import command_line
from aejax.cli.figure_options import FigureOptions
from aejax.cli.opened import RunOptions
from aejax.errors import UserError
from aejax.host.optional import optional

DESCRIPTION = """Compose with a variational autoencoder of chorales, and measure how well it predicts held-out ones.

  aejax train chorales-vae --data-dir FOLDER --run-dir runs/chorales
  aejax compose runs/chorales music               8 windows drawn from the prior, as .mid files and piano rolls

Each key sounds with the probability that the decoder predicts. The bound on the held-out chorales' negative
log-likelihood is compared with a baseline: independent keys, each with its frequency in the training chorales. MIDI
files require the extra music: pip install 'aejax[music]'."""


MAX_COUNT = 300  # windows, side by side in one figure


@dataclass(frozen=True)
class Options(FigureOptions, RunOptions):
    """What to compose, and with which run."""

    folder: tyro.conf.Positional[Path]
    """The folder to write, which must not exist yet."""
    count: int = 8
    """Number of windows."""
    beats_per_minute: float = 80.0
    """Tempo, in quarter notes per minute."""
    most_probable: bool = False
    """Let only keys with a probability above 0.5 sound. These are fewer than in chorales: if the decoder is uncertain
    between several keys, none of them exceeds 0.5."""
    seed: int = 0
    """Seed of the codes and the notes."""


def main(arguments: Sequence[str]) -> None:
    """Parse, compose, write, and print the bound on held-out chorales."""
    options = command_line.parse(Options, arguments, description=DESCRIPTION)
    _check(options)
    from aejax.evaluation.music import notes_per_step, to_midi
    from aejax.experiment.compose import check_composes, compose, draw_piano_rolls, nats_per_step
    from aejax.experiment.progress import working
    from aejax.host.terminal import PlainConsole
    from aejax.plots import save_figure

    console = PlainConsole()
    with working(console, "opening the run, and composing"):
        run = options.open_run()
        check_composes(run)
        rolls = compose(run, count=options.count, most_probable=options.most_probable, seed=options.seed)
    with command_line.new_folder(options.folder) as folder:
        for number, roll in enumerate(rolls, 1):
            to_midi(roll, beats_per_minute=options.beats_per_minute).save(folder / f"{number:02}.mid")
        with optional("figure", console.print):
            save_figure(draw_piano_rolls(run, rolls), folder, "piano_rolls", file_format=options.format)
    with optional("nats per quarter note", console.print):
        with working(console, "measuring held-out chorales"):
            nats = nats_per_step(run)
        console.print(
            f"{nats.bound:.3f} nats per quarter note of held-out chorales, an upper bound; baseline, each key's "
            f"frequency: {nats.baseline:.3f}"
        )
    with optional("notes per quarter note", console.print):
        notes, of_chorales = notes_per_step(rolls), notes_per_step(run.splits.test.x)
        console.print(
            f"{notes:.2f} notes sound per quarter note in these windows, {of_chorales:.2f} in held-out chorales"
        )
    console.print(f"{len(rolls)} windows of {rolls.shape[1]} quarter notes are in {options.folder}")


def _check(options: Options) -> None:
    """Raise UserError for an invalid option, before anything is loaded."""
    if importlib.util.find_spec("mido") is None:
        raise UserError("MIDI files require mido, which is not installed: pip install 'aejax[music]'")
    if not 1 <= options.count <= MAX_COUNT:
        raise UserError(f"--count: must be between 1 and {MAX_COUNT}, got {options.count:,}")
    command_line.check_seed(options.seed)
    if not 1 <= options.beats_per_minute <= 1000:
        raise UserError(f"--beats-per-minute: must be between 1 and 1000, got {options.beats_per_minute:g}")
    command_line.check_free(options.folder)
