"""Train an experiment with many values of its knobs and several seeds, together, and find the best setting."""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aejax.cli import command_line
from aejax.cli.base import name_of, take_base, with_own_located
from aejax.cli.figure_options import FigureOptions
from aejax.cli.swept import train_all
from aejax.errors import UserError
from aejax.experiment.configuration import Experiment, to_json
from aejax.experiment.knobs import GROUP_OF, is_sequence, value_of
from aejax.host import environment
from aejax.host.commands import verb_command
from aejax.host.files import write_text
from aejax.studies.sweeps.plan import Plan, make_plan

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    from aejax.host.terminal import PlainConsole
    from aejax.studies.sweeps.study import Outcome, Sweep

DESCRIPTION = """Train an experiment with many values of its knobs and several seeds, and find the best setting.

  aejax sweep digits-contractive --contractive-weight 0.01 0.1 1 --learning-rate 1e-3 3e-4 --seeds 5
  aejax sweep digits-vae --beta 0.3 1 3 --code-size 5 10       6 settings of the default model, 3 seeds each
  aejax sweep --dataset mine.npy --hidden 200 256,128          one hidden layer, or two, on your own data
  aejax sweep --resume runs/NAME                               continue a sweep that was stopped or killed
  aejax train --preset-file runs/NAME/best.json                train the best setting

Every option of `aejax train` that sets a knob accepts several values here; a sequence, such as the widths of layers, is
written with commas (--columns of a table is one value, as for `aejax train`). All combinations are trained. Settings
that differ only in real numbers (weights, the learning rate, noise levels) are trained together by one compiled step,
divided among the devices; for other values (sizes, names, whole numbers) there is one group after the other. Every
autoencoder learns what `aejax train` with its knobs and seed learns. All examples are copied to every device.

The best setting has the best mean over its seeds on validation examples: of the evidence lower bound if there is one,
else of the reconstruction. Test examples are not used for the choice.

Where the factors of variation of the data are known, as of sprites, the terms include scores of disentanglement. A
sweep over beta also draws rate (the KL divergence) against distortion (-log p(x given z)) with their lower hull.

The folder written holds report.txt (validation terms of every setting, mean ± deviation over seeds), settings.csv and
members.csv (all terms of every setting and of every autoencoder), best.json, figures/ and what a stopped sweep
continues from. The values shown below are those of the preset named before --help."""

WIDTH = 160  # of the table, which a narrower terminal wraps


@dataclass(frozen=True)
class Options(FigureOptions):
    """What is trained, how often, and where."""

    experiment: Experiment = field(default_factory=Experiment)
    preset_file: Path | None = None
    """A JSON file of knobs in place of a preset, as for `aejax train`."""
    seeds: int = 3
    """Number of seeds of every setting, consecutive from --seed."""
    choose_by: str | None = None
    """The term of the validation loss, such as reconstruction or kl, that decides which setting is the best; elbo or
    else reconstruction if not given. The lowest value is the best, of elbo the highest."""
    run_dir: Path | None = None
    """The folder to write, which must not exist yet; runs/sweep-NAME-DATE-TIME if not given."""
    resume: Path | None = None
    """The folder of a sweep to continue, with the values that it began with."""
    devices: int | None = None
    """Number of devices to divide the autoencoders among; all if not given."""
    compilation_cache: bool = True
    """Keep compiled programs in ~/.cache/aejax ($XDG_CACHE_HOME/aejax), so that the next sweep starts sooner."""


def main(arguments: Sequence[str]) -> None:
    """Parse, train, write."""
    started = time.perf_counter()
    options, plan, name = _parse(arguments)
    if options.compilation_cache:
        environment.use_compilation_cache()
    folder = options.resume or options.run_dir or Path("runs") / f"sweep-{name}-{datetime.now():%Y%m%d-%H%M%S}"
    if plan is not None:
        command_line.check_free(folder)
    from aejax.experiment.progress import working
    from aejax.host.terminal import PlainConsole
    from aejax.studies.sweeps.study import conclude, create, open_sweep, prepare
    from aejax.training.devices import choose_devices

    console = PlainConsole()
    devices = choose_devices(options.devices)
    with working(console, "preparing the sweep"):
        ready = open_sweep(folder) if plan is None else prepare(plan)
    if plan is not None:
        create(folder, ready)
    members = len(ready.settings) * ready.seeds
    where = f"{len(devices)} {devices[0].platform} device{'s' if len(devices) > 1 else ''}"
    groups = "together" if len(ready.groups) == 1 else f"in {len(ready.groups)} groups"
    console.print(f"{name}: {len(ready.settings)} settings, {members} autoencoders, trained {groups}; {where}")
    found = train_all(ready, folder, resume=("sweep", "--resume"), devices=devices, console=console)
    _conclude(ready, conclude(ready, found), folder, options, console)
    console.print(f"{time.perf_counter() - started:.1f} s in all; the sweep is in {folder}")


def _parse(arguments: Sequence[str]) -> tuple[Options, Plan | None, str]:
    """Returns the options, the plan (None for a sweep that is continued), and the name of the sweep."""
    base, arguments = take_base(arguments)
    others, words = split_values(arguments)

    def parse(place: int) -> Options:
        chosen = [word for knob, own in words.items() for word in _words_of(knob, own[place % len(own)])]
        return command_line.parse(
            Options,
            [*others, *chosen],
            default=Options(base.experiment),
            names=base.described,
            description=DESCRIPTION,
        )

    parsed = [parse(place) for place in range(max(map(len, words.values()), default=1))]
    options = parsed[0]
    if options.resume is not None:
        if words or base.name is not None or options.run_dir is not None:
            raise UserError("--resume: a sweep continues with the values that it began with; leave the others out")
        return options, None, options.resume.resolve().name
    experiment = with_own_located(options.experiment)
    values: dict[str, list[Any]] = {
        knob: [value_of(parsed[place].experiment, knob) for place in range(len(own))]
        for knob, own in words.items()
        if len(own) > 1
    }
    return (
        options,
        make_plan(experiment, values, seeds=options.seeds, choose_by=options.choose_by),
        name_of(base, experiment),
    )


def split_values(arguments: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Returns the arguments other than knobs with values, and the words of every value of these knobs.

    >>> split_values(["--beta", "0.5", "1", "--seeds", "2", "--hidden=8,4", "--no-conditional"])
    (['--seeds', '2', '--no-conditional'], {'beta': ['0.5', '1'], 'hidden': ['8,4']})
    """
    others: list[str] = []
    words: dict[str, list[str]] = {}
    current = others
    for word in arguments:
        if word.startswith("--"):
            option, equals, value = word.partition("=")
            knob = option[2:].replace("-", "_")
            if knob in GROUP_OF and not (GROUP_OF[knob] == "data" and is_sequence(knob)):  # such as columns of a table
                current = words.setdefault(knob, [])
                current += [value] if equals else []
                continue
            current = others
        current.append(word)
    flags = [f"--{knob.replace('_', '-')}" for knob, own in words.items() if not own]  # booleans
    return [*others, *flags], {knob: own for knob, own in words.items() if own}


def _words_of(knob: str, word: str) -> list[str]:
    """Returns the option and the words of one value: `aejax train` separates a sequence by spaces."""
    is_empty = is_sequence(knob) and word == "none"
    values = [] if is_empty else word.split(",") if is_sequence(knob) else [word]
    return [f"--{knob.replace('_', '-')}", *values]


def _conclude(ready: "Sweep", outcome: "Outcome", folder: Path, options: Options, console: "PlainConsole") -> None:
    """Write tables, figures, the best setting and the report, and print the report."""
    from aejax.host.terminal import PlainConsole
    from aejax.plots import save_figure
    from aejax.studies.records import to_csv
    from aejax.studies.sweeps.rate_distortion import on_hull
    from aejax.studies.sweeps.study import draw_figures, title_of
    from aejax.studies.sweeps.table import caveat, member_records, setting_records, sweep_table

    best, measure, term_of = outcome.best, outcome.measure, title_of(ready)
    write_text(folder / "members.csv", to_csv(member_records(ready.settings, outcome.members)))
    hull = on_hull(outcome.summaries)
    marked = {"best": [best]} | ({"on_rate_distortion_hull": hull} if hull else {})
    write_text(folder / "settings.csv", to_csv(setting_records(outcome.summaries, **marked)))
    write_text(folder / "best.json", to_json(best.setting.experiment))
    seeds = f"{ready.seeds} seeds" if ready.seeds > 1 else "1 seed"
    title = f"{ready.settings[0].experiment.data.dataset}: validation examples, mean ± deviation over {seeds}"
    table = sweep_table(outcome.summaries, best, title=title, term_of=term_of)
    of_test = ", ".join(f"{term} {value:.4f}" for term, value in best.mean.items() if term.startswith("test/"))
    report = PlainConsole(file=io.StringIO(), record=True, width=WIDTH, soft_wrap=False)
    for out in (PlainConsole(width=max(console.width, WIDTH)), report):
        out.print(table)
        out.print(f"best by validation/{measure}: {best.setting.described or 'the only setting'}; it has {of_test}")
        if hull:
            on_it = "; ".join(summary.setting.described for summary in hull)
            out.print(f"on the lower hull of rate and distortion, by increasing rate: {on_it}")
        if (note := caveat([*ready.settings[0].knobs], measure)) is not None:
            out.print(f"{note}: compare settings with care, or use --choose-by")
        out.print(f"train it with: {verb_command('train', '--preset-file', folder / 'best.json')}")
    write_text(folder / "report.txt", report.export_text())
    (folder / "figures").mkdir(exist_ok=True)
    for file, figure in draw_figures(ready, outcome).items():
        save_figure(figure, folder / "figures", file, file_format=options.format)
