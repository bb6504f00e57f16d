"""Compose with a variational autoencoder of chorales: MIDI files, piano rolls, and how well it knows held-out ones."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from aejax.cli import command_line
from aejax.errors import UserError
from aejax.host.optional import optional

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    import numpy as np

    from aejax.experiment.trained import TrainedRun

DESCRIPTION = """Compose with a variational autoencoder of chorales, and tell how well it knows held-out ones.

  train.py chorales-vae --data-dir FOLDER --run-dir runs/chorales
  compose.py runs/chorales music                  8 windows drawn from the prior, as .mid files and piano rolls

Which keys sound is drawn from the likelihood, each with the probability that the decoder gives it. Beside the bound on
the held-out chorales' negative log-likelihood stands that of a model that knows how often each key sounds, and nothing
of time. MIDI files want the extra music: pip install 'aejax[music]'."""

MAX_COUNT = 300  # windows, side by side in one picture


@dataclass(frozen=True)
class Options:
    """What to compose with which run."""

    run: tyro.conf.Positional[Path]
    """The run folder."""
    folder: tyro.conf.Positional[Path]
    """The folder to write, which must not exist yet."""
    count: int = 8
    """How many windows."""
    beats_per_minute: float = 80.0
    """Quarter notes."""
    most_probable: bool = False
    """Only keys of a probability above one half sound. These are fewer than in chorales: where the decoder is in doubt
    between keys, none of them is that probable."""
    seed: int = 0
    """Of the codes and the notes."""


def main() -> None:
    """Parse, compose, write, and tell."""
    options = command_line.parse(Options, sys.argv[1:], program="compose.py", description=DESCRIPTION)
    _check(options)
    from aejax import plots
    from aejax.datasets.jsb_chorales import LOWEST_NOTE
    from aejax.evaluation.music import notes_per_step, to_midi
    from aejax.experiment.trained import check_kind, open_run
    from aejax.host.terminal import PlainConsole

    console = PlainConsole()
    run = open_run(options.run)
    is_music = run.autoencoder.prior is not None and run.experiment.data.dataset == "jsb_chorales"
    check_kind(run, is_music, "a variational run on jsb_chorales", script="compose.py")
    rolls = _compose(run, options)
    held_out = run.splits.test.x[: options.count]
    rows = {"held-out chorales": held_out, "composed": rolls}
    with command_line.new_folder(options.folder) as folder:
        for number, roll in enumerate(rolls, 1):
            to_midi(roll, beats_per_minute=options.beats_per_minute).save(folder / f"{number:02}.mid")
        with optional("figure", console.print):
            plots.piano_rolls(rows, lowest_note=LOWEST_NOTE).savefig(folder / "piano_rolls.png", dpi=150)
    with optional("nats per quarter note", console.print):
        ours, baseline = _nats_per_step(run)
        console.print(
            f"{ours:.3f} nats per quarter note of held-out chorales, an upper bound; {baseline:.3f} by each key's "
            "frequency"
        )
    notes, of_chorales = notes_per_step(rolls), notes_per_step(run.splits.test.x)
    console.print(f"{notes:.2f} notes sound per quarter note of these windows; {of_chorales:.2f} of held-out chorales")
    console.print(f"{len(rolls)} windows of {rolls.shape[1]} quarter notes are in {options.folder}")


def _check(options: Options) -> None:
    """Raise UserError where an option cannot be, before anything is loaded."""
    import importlib.util

    if importlib.util.find_spec("mido") is None:
        raise UserError("MIDI files want mido, which is not installed: pip install 'aejax[music]'")
    if not 1 <= options.count <= MAX_COUNT:
        raise UserError(f"--count: must be between 1 and {MAX_COUNT}, got {options.count:,}")
    command_line.check_seed(options.seed)
    if not 1 <= options.beats_per_minute <= 1000:
        raise UserError(f"--beats-per-minute: must be between 1 and 1000, got {options.beats_per_minute:g}")
    command_line.check_free(options.folder)


def _compose(run: "TrainedRun", options: Options) -> "np.ndarray":
    """Windows (N, T, keys) of codes drawn from the prior: notes drawn from the likelihood, or its mean."""
    import jax
    import numpy as np

    from aejax.datasets.dataset import Dataset
    from aejax.keys import named_key

    codes = run.sample_codes(options.count, seed=options.seed)
    if options.most_probable:
        return run.decode(Dataset(codes))
    likelihood, decode = run.autoencoder.likelihood, run.autoencoder.decode_parameters
    assert likelihood is not None  # of a variational run, which it is
    assert decode is not None
    keys = jax.random.split(named_key(jax.random.key(options.seed), "notes"), options.count)
    draw = jax.jit(jax.vmap(lambda params, key, code: likelihood.sample(key, decode(params, code)), (None, 0, 0)))
    return np.asarray(draw(run.params, keys, codes))


def _nats_per_step(run: "TrainedRun") -> tuple[float, float]:
    """The negative bound of the test windows, and the baseline's negative log-likelihood, per quarter note."""
    import jax

    from aejax.evaluation.music import frequency_baseline
    from aejax.experiment.loading import as_examples
    from aejax.training import make_evaluate
    from aejax.training.devices import replicate

    devices, test = jax.devices()[:1], run.splits.test
    evaluate = make_evaluate(run.autoencoder, batch_size=100, devices=devices)
    means = evaluate(
        replicate(run.params, devices), run.keys.evaluation, as_examples(run.experiment.model, test, run.facts)
    )
    return -means["elbo"] / test.x.shape[1], frequency_baseline(run.splits.train.x, test.x)


if __name__ == "__main__":
    command_line.run(main)
