"""Train an autoencoder on real data and write what it learned into a run folder."""

import dataclasses
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from aejax import command_line
from aejax.configuration import Experiment, check
from aejax.errors import UserError
from aejax.presets import DEFAULT, PRESETS

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    import jax
    import optax
    from rich.console import Console

    from aejax.autoencoders import Autoencoder
    from aejax.datasets.dataset import Splits
    from aejax.run_folder import RunFolder
    from aejax.training import Snapshot

DESCRIPTION = f"""Train an autoencoder on real data and write what it learned into a run folder.

  train.py                              train the preset {DEFAULT}
  train.py mnist-vae --beta 4           train another preset with one value changed
  train.py --resume runs/NAME           continue a run that was stopped

The run folder holds config.json, metrics.jsonl (the same as TensorBoard events in events/), checkpoints/ and figures/.

Presets:
{chr(10).join(f"  {name:18}{description}" for name, (description, _) in PRESETS.items())}

The values shown below are those of the preset named before --help."""


@dataclass(frozen=True)
class Options:
    """Where and on what to run; the result does not depend on these, but for rounding."""

    experiment: Experiment = field(default_factory=Experiment)
    run_dir: Path | None = None
    """The run folder to write, which must not exist yet; runs/PRESET-DATE-TIME if not given."""
    resume: Path | None = None
    """A run folder to continue to its end, as if it had never been stopped."""
    devices: int | None = None
    """How many devices to train on; all if not given. The batch size must be a multiple of it."""


def main() -> None:
    """Parse, train, and write."""
    started = time.perf_counter()
    options, name = _parse(sys.argv[1:])

    import jax
    from rich.console import Console

    from aejax import experiment as setup
    from aejax.run_folder import RunFolder, check_absent
    from aejax.training import start
    from aejax.training.devices import check_batch_size, choose_devices

    experiment = options.experiment
    run_dir = options.run_dir or Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    if options.resume is None:
        check_absent(run_dir)
    devices = choose_devices(options.devices)
    splits = setup.load_splits(experiment.data)
    setup.check_data(experiment.model, splits, experiment.data.dataset)
    check_batch_size(experiment.training.batch_size, len(splits.train.x), len(devices))
    autoencoder = setup.build_autoencoder(experiment.model, splits.train.x.shape[1:])
    optimizer = setup.build_optimizer(experiment, len(splits.train.x))
    snapshot = start(autoencoder, optimizer, jax.random.key(experiment.training.seed), splits.train.x[0])

    console = Console(highlight=False, soft_wrap=True)
    if options.resume is None:
        run = RunFolder.create(run_dir, experiment)
        run.checkpoints.save(snapshot, experiment)
    else:
        run = RunFolder.resume(options.resume)
        for fault in run.checkpoints.faults.values():
            console.print(f"{fault}; going on from the one before it")
        snapshot = run.checkpoints.restore(snapshot)
        run.rewind(int(snapshot.state.step))
        console.print(f"continuing {run.path} at step {int(snapshot.state.step)}")
    sizes = ", ".join(f"{len(part.x):,} {split}" for split, part in zip(splits._fields, splits, strict=True))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(snapshot.state.params))
    where = f"{len(devices)} {devices[0].platform} device{'s' if len(devices) > 1 else ''}"
    console.print(f"{name}: {experiment.data.dataset}, {sizes} examples; {parameters:,} parameters; {where}")
    try:
        snapshot = _train(run, autoencoder, optimizer, snapshot, splits, devices, console)
        _conclude(run, autoencoder, snapshot, splits, devices, console)
    finally:
        run.close()
    console.print(f"{time.perf_counter() - started:.1f} s in all; the run is in {run.path}")


def _parse(arguments: Sequence[str]) -> tuple[Options, str]:
    """The options, and the name of the experiment: its preset's or its run folder's."""
    preset = None
    if arguments and not arguments[0].startswith("-"):
        preset, *arguments = arguments
    if preset is not None and preset not in PRESETS:
        raise UserError(f"there is no preset {preset!r}; the presets are {', '.join(PRESETS)}")

    def parse(experiment: Experiment) -> Options:
        return command_line.parse(
            Options,
            arguments,
            default=Options(experiment),
            program=f"train.py [{preset or 'PRESET'}]",
            description=DESCRIPTION,
        )

    options = parse(PRESETS[preset or DEFAULT][1])
    folder = options.resume
    if folder is None:
        check(options.experiment)
        return options, preset or DEFAULT
    from aejax.run_folder import check_unchanged, read_experiment

    if options.run_dir is not None:
        raise UserError("--run-dir and --resume: take one of them; a run is continued in its own folder")
    saved = read_experiment(folder)
    if preset is None:
        options = dataclasses.replace(options, experiment=parse(saved).experiment)
    check(options.experiment)
    check_unchanged(saved, options.experiment, folder)
    return options, folder.resolve().name


def _train(
    run: "RunFolder",
    autoencoder: "Autoencoder",
    optimizer: "optax.GradientTransformation",
    snapshot: "Snapshot",
    splits: "Splits",
    devices: "list[jax.Device]",
    console: "Console",
) -> "Snapshot":
    """Train to the end, with records and checkpoints on the way; Ctrl-C saves a checkpoint and exits."""
    from aejax.progress import TrainingProgress
    from aejax.training import check_parameters, train

    training = run.experiment.training
    steps_per_epoch = len(splits.train.x) // training.batch_size
    reports = train(
        autoencoder,
        optimizer,
        snapshot,
        splits.train.x,
        splits.validation.x,
        batch_size=training.batch_size,
        epochs=training.epochs,
        evaluate_every=training.evaluate_every,
        patience=training.patience,
        min_delta=training.min_delta,
        devices=devices,
    )
    interrupted = _watch_for_interrupt()
    with TrainingProgress(console, training.epochs, int(snapshot.state.step) / steps_per_epoch) as progress:
        for report in reports:
            snapshot = report.snapshot
            progress.show(report)
            if report.evaluation is not None:
                run.write({"step": report.step, "epoch": report.epoch, **report.evaluation})
            due = report.step % (training.checkpoint_every * steps_per_epoch) == 0
            if due or report.finished or interrupted:
                check_parameters(snapshot.state)
                run.checkpoints.save(snapshot, run.experiment)
            if interrupted and not report.finished:
                break
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if interrupted:
        console.print(f"interrupted at step {int(snapshot.state.step)}; continue with: train.py --resume {run.path}")
        sys.exit(command_line.INTERRUPTED)
    return snapshot


def _watch_for_interrupt() -> list[int]:
    """A list that is empty until Ctrl-C; a second Ctrl-C stops at once."""
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        print("interrupted: a checkpoint follows; press Ctrl-C once more to stop without it", file=sys.stderr)
        received.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, note)
    return received


def _conclude(
    run: "RunFolder",
    autoencoder: "Autoencoder",
    snapshot: "Snapshot",
    splits: "Splits",
    devices: "list[jax.Device]",
    console: "Console",
) -> None:
    """Evaluate the best parameters on every split, and write the last record and the figures."""
    import jax
    import jax.numpy as jnp

    from aejax import plots
    from aejax.evaluation import encode_all, reconstruct_all
    from aejax.experiment import build_corruption
    from aejax.progress import summary_table
    from aejax.training import make_evaluate, run_keys
    from aejax.training.devices import replicate

    _, evaluation_key = run_keys(snapshot.state)
    corruption_key, sample_key = jax.random.split(jax.random.fold_in(evaluation_key, 0))
    evaluate = make_evaluate(autoencoder, batch_size=run.experiment.training.batch_size, devices=devices)
    params = replicate(snapshot.best_params, devices)
    means = {
        name: evaluate(params, evaluation_key, replicate(part.x, devices))
        for name, part in zip(splits._fields, splits, strict=True)
    }
    step, epoch = int(snapshot.state.step), snapshot.stopping.best_epoch
    steps_per_epoch = len(splits.train.x) // run.experiment.training.batch_size
    run.write({"step": step, "epoch": epoch, **{f"test/{term}": value for term, value in means["test"].items()}})

    params, test = snapshot.best_params, splits.test
    shown = test.x[:10]
    rows = {"original": shown}
    if (corrupt := build_corruption(run.experiment.model)) is not None:
        rows["corrupted"] = jax.device_get(
            jax.vmap(corrupt)(jax.random.split(corruption_key, len(shown)), jnp.asarray(shown))
        )
    rows["reconstruction"] = reconstruct_all(autoencoder, params, list(rows.values())[-1])
    units = "nats per example" if autoencoder.likelihood else "per example, summed over features"
    codes = encode_all(autoencoder, params, test.x)
    figures = {
        "training_curves": plots.training_curves(run.records(), units=units),
        "reconstructions": plots.reconstructions(rows),
        "latent_space": plots.latent_space(codes, test.labels),
    }
    if autoencoder.prior is not None:
        prior = autoencoder.prior(params)
        drawn = jax.vmap(lambda key: autoencoder.decode(params, prior.sample(key, codes.shape[1:])))
        figures["samples"] = plots.samples(
            jax.device_get(drawn(jax.random.split(sample_key, 64))),
            limits=(float(test.x.min()), float(test.x.max())),
            title="decoded samples from the prior",
        )
    for name, figure in figures.items():
        figure.savefig(run.figures / f"{name}.png", dpi=150)
    console.print(summary_table(f"best epoch {epoch} of {step // steps_per_epoch}; means per example", means))


if __name__ == "__main__":
    command_line.run(main)
