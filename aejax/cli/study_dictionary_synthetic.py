"""Families of dictionaries on sparse mixtures of known features, over strengths and seeds."""

import itertools
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aejax.cli import command_line
from aejax.errors import UserError
from aejax.experiment.data_knobs import FeatureSettingName
from aejax.host.commands import verb_command
from aejax.host.files import read_text, write_text

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    from rich.table import Table

    from aejax.autoencoders.record import Metrics
    from aejax.studies.dictionaries.synthetic import Level, Training, Trial
    from aejax.studies.progress import StudyProgress

DESCRIPTION = """Train dictionaries on sparse mixtures of known features, and measure which features they find.

  aejax study dictionary-synthetic                                     all families on 512 features
  aejax study dictionary-synthetic --families top_k --seeds 3           one family, several seeds
  aejax study dictionary-synthetic --features synth_sae_bench_2k       2,048 features in trees, minutes on two cores
  aejax study dictionary-synthetic --features synth_sae_bench_16k      16,384 features, as in SynthSAEBench: for a GPU
  ... --features synth_sae_bench_16k --steps 195313                    with 200 million examples, as published

Examples are generated at every step, where they are used. Every dictionary is measured on the same new examples: F1,
precision and recall of each unit as a detector of its best-matching feature, MCC and MMCS of its directions, the
fraction of units that match different features, explained variance, active and dead units. The folder written holds
trials.json and config.json. The same command on a folder that exists goes on where it was stopped: what is in
trials.json is not trained again.

With 16,384 features an H200 takes 700 to 800 steps a second, so 200 million examples four to five minutes for every
dictionary; two cores take half a minute for the features, and three steps a second."""

_MAX_BYTES = 2**24
_COLUMNS = {
    "l0": "active units",
    "f1": "F1",
    "mcc": "MCC",
    "mmcs": "MMCS",
    "uniqueness": "unique",
    "explained_variance": "explained variance",
    "relative_bias": "relative bias",
    "dead": "dead",
}
_SIZES = {  # setting: units, active units, steps, batch size, learning rate
    # l1_dictionary, seed 0: MMCS and MCC 0.969, 7.3 active units; with 512 units and 3,000 steps MMCS 0.888
    "small": (1024, (5.0,), 2000, 512, 3e-3),
    "synth_sae_bench_2k": (512, (8.0,), 4000, 512, 1e-3),
    "synth_sae_bench_16k": (4096, (25.0, 20.0), 4000, 1024, 3e-4),
}


@dataclass(frozen=True)
class Options:
    """What to train, how often, and where to write the results."""

    features: FeatureSettingName = "small"
    """The generator. small: 512 features in 256 dimensions, 5 active; synth_sae_bench_16k: 16,384 in 768, 34 active, in
    trees; synth_sae_bench_2k: 2,048 in 192, 11 active, an eighth of it."""
    families: tuple[Literal["l1_dictionary", "top_k", "batch_top_k", "matryoshka", "jump_relu", "gated"], ...] = (
        "l1_dictionary",
        "top_k",
        "batch_top_k",
        "matryoshka",
        "jump_relu",
        "gated",
    )
    """The families of dictionaries."""
    active_entries: tuple[float, ...] = ()
    """Numbers of active units: k of top_k, batch_top_k and matryoshka; the weights of the others' penalties are adapted
    in training to reach them. 5 for small, 8 for synth_sae_bench_2k, 25 and 20 for synth_sae_bench_16k."""
    l1_weights: tuple[float, ...] = ()
    """l1_dictionary: weights of the penalty, instead of weights that are adapted."""
    jump_relu_weights: tuple[float, ...] = ()
    """jump_relu: weights of the number of active units, instead of weights that are adapted."""
    gated_weights: tuple[float, ...] = ()
    """gated: weights of the penalty, instead of weights that are adapted."""
    seeds: int = 1
    """Number of seeds, from 0: of the dictionaries' parameters and examples, not of the features."""
    feature_seed: int = 0
    """Seed of the features."""
    units: int | None = None
    """Units of every dictionary: 1,024 for small, 512 for synth_sae_bench_2k, 4,096 for synth_sae_bench_16k."""
    steps: int | None = None
    """Training steps of every dictionary: 2,000 for small, 4,000 for the others."""
    batch_size: int | None = None
    """Examples of a step: 512, or 1,024 for synth_sae_bench_16k."""
    learning_rate: float | None = None
    """Learning rate of Adam: 0.003 for small, 0.001 for synth_sae_bench_2k, 0.0003 for synth_sae_bench_16k. It falls to
    0 over the last fifth."""
    examples: int = 20_000
    """Examples that dictionaries are measured on."""
    run_dir: Path | None = None
    """The folder to write, or to go on with; runs/dictionary-synthetic-DATE-TIME if not given."""


def main(arguments: Sequence[str]) -> None:
    """Parse, train and measure, write, and print a table."""
    started = time.perf_counter()
    options = command_line.parse(Options, arguments, default=Options(), description=DESCRIPTION)
    for name in ("seeds", "steps", "examples", "units", "batch_size"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise UserError(f"--{name.replace('_', '-')}: must be at least 1, got {value}")
    folder = options.run_dir or Path("runs") / f"dictionary-synthetic-{datetime.now():%Y%m%d-%H%M%S}"
    from aejax.datasets.synthetic_features.drawn import known_features
    from aejax.datasets.synthetic_features.setting import SETTINGS
    from aejax.experiment.progress import working
    from aejax.host.terminal import PlainConsole
    from aejax.studies.dictionaries.synthetic import PUBLISHED, Training, Trial, level_of, run_trial
    from aejax.studies.progress import StudyProgress

    units, active, steps, batch_size, rate = _SIZES[options.features]
    training = Training(
        options.units or units,
        options.steps or steps,
        options.batch_size or batch_size,
        rate if options.learning_rate is None else options.learning_rate,
        options.examples,
    )
    planned = _planned(options, training, active)
    content = {"features": options.features, "feature_seed": options.feature_seed, **training._asdict()}
    command_line.open_folder(folder, content, kind="study of dictionaries")
    path = folder / "trials.json"
    known = [Trial(**trial) for trial in json.loads(read_text(path, limit=_MAX_BYTES))] if path.is_file() else []
    console = PlainConsole()
    setting = SETTINGS[options.features]
    model = None
    trials: list[Trial] = []
    for number, (family, level, seed) in enumerate(planned, 1):
        same = [trial for trial in known if (trial.family, level_of(trial), trial.seed) == (family, level, seed)]
        if not same:
            if model is None:
                with working(console, "making the features"):
                    model = known_features(options.features, options.feature_seed)
            work = f"[{number}/{len(planned)}] {family}, {_shown(level)}, seed {seed}"
            try:
                with StudyProgress(console, work, training.steps, "steps") as progress:
                    on_steps = partial(_show, progress)
                    same = [run_trial(family, level, model, setting, training, seed=seed, on_steps=on_steps)]
            except KeyboardInterrupt:
                words = [*arguments] if options.run_dir else [*arguments, "--run-dir", str(folder.absolute())]
                console.print(f"stopped; continue with: {verb_command('study', 'dictionary-synthetic', *words)}")
                raise
            known += same
            write_text(path, json.dumps([trial._asdict() for trial in known], indent=2) + "\n")
        trials += same
    console.print(_table(trials, options.seeds, training.steps * training.batch_size))
    if options.features == "synth_sae_bench_16k":
        console.print(
            "published, after 200,000,000 examples (Chanin and Garriga-Alonso 2026): F1, MCC, unique, explained"
        )
        for name, levels in PUBLISHED.items():
            shown = ["  ".join(f"{value:.3f}" for value in level) for level in levels]
            console.print(f"  {name:14} L0 25: {shown[0]}   L0 20: {shown[1]}")
    console.print(f"{time.perf_counter() - started:.1f} s in all; the study is in {folder}")


def _planned(options: Options, training: "Training", active: tuple[float, ...]) -> "list[tuple[str, Level, int]]":
    """Returns family, level and seed of every trial; UserError if a number is out of range."""
    from aejax.studies.dictionaries.synthetic import Level

    if not 0 < training.learning_rate < math.inf:
        raise UserError(f"--learning-rate: must be above 0 and finite, got {training.learning_rate:g}")
    weights = {"l1_dictionary": options.l1_weights, "jump_relu": options.jump_relu_weights}
    weights |= {"gated": options.gated_weights}
    for weight in itertools.chain.from_iterable(weights.values()):
        if not 0 <= weight < math.inf:
            raise UserError(f"weights of penalties must be at least 0 and finite, got {weight:g}")
    by_number = [Level(number) for number in options.active_entries or active]
    for level in by_number:
        if level.active is not None and not 1 <= level.active <= training.units:
            raise UserError(
                f"--active-entries: must be between 1 and the {training.units:,} units, got {level.active:g}"
            )
    return [
        (family, level, seed)
        for family in options.families
        for level in [Level(weight=weight) for weight in weights.get(family, ())] or by_number
        for seed in range(options.seeds)
    ]


def _show(progress: "StudyProgress", done: int, metrics: "Metrics") -> None:
    progress.show(done, f"loss {float(metrics['loss']):.4g}, {float(metrics['l0']):.3g} active units")


def _table(trials: "list[Trial]", seeds: int, examples: int) -> "Table":
    """Returns a table with a row per family and level: mean and deviation over seeds."""
    from rich.table import Table

    from aejax.studies.dictionaries.synthetic import summarize

    over = f"mean ± deviation over {seeds} seeds" if seeds > 1 else "one seed"
    table = Table(title=f"dictionaries after {examples:,} examples; {over}", title_justify="left")
    table.add_column("family")
    table.add_column("level")
    for title in _COLUMNS.values():
        table.add_column(title, justify="right")
    for (family, level), measures in summarize(trials).items():
        cells = []
        for name in _COLUMNS:
            mean, deviation = measures[name]
            digits = 1 if name == "l0" else 3
            cells.append(f"{mean:.{digits}f}" + (f" ± {deviation:.{digits}f}" if seeds > 1 else ""))
        table.add_row(family, _shown(level), *cells)
    return table


def _shown(level: "Level") -> str:
    return f"weight {level.weight:g}" if level.active is None else f"{level.active:g} active"
