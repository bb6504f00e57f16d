"""The end of a run: evaluates the best parameters, writes the last record and figures, prints a table."""

import math
from collections.abc import Sequence
from functools import partial

import jax
import numpy as np
from rich.console import Console

from aejax.datasets.dataset import Dataset
from aejax.datasets.subset import random_subset
from aejax.evaluation import as_terms, code_statistics
from aejax.experiment.build import bounds_of_code
from aejax.experiment.code_sentences import code_sentences
from aejax.experiment.dictionary_units import MAX_EXAMPLES, draw_units, is_dictionary
from aejax.experiment.factor_scores import factor_scores, scorable
from aejax.experiment.figures import draw_figures
from aejax.experiment.job import Job
from aejax.experiment.plausibility import check_result
from aejax.experiment.progress import summary_table
from aejax.experiment.report import loss_note, term_of
from aejax.experiment.run_folder import RunFolder
from aejax.experiment.sample_quality import can_score_samples, describe_samples, score_samples, write_samples
from aejax.experiment.scores import score, write_scores
from aejax.experiment.table_results import describe_result, table_result
from aejax.experiment.trained import TrainedRun
from aejax.experiment.treatment_notes import treatment_lines
from aejax.host.files import FigureFormat
from aejax.host.optional import optional
from aejax.plots import save_figure
from aejax.training import Snapshot, make_evaluate, run_keys
from aejax.training.devices import replicate
from aejax.training.plan import choose_plan


def evaluate_best(job: Job, snapshot: Snapshot, *, devices: Sequence[jax.Device]) -> dict[str, dict[str, float]]:
    """Returns the means of the loss's terms with the best parameters: split -> term -> mean over examples.

    The examples are gathered on the host, in calls of one shape: one compiled program evaluates the three splits.

    Args:
      job: the job that was trained.
      snapshot: the snapshot at the end of training.
      devices: as for `train`.

    Raises:
      UserError: the autoencoder is orders of magnitude worse than predicting the mean.
    """
    size, devices = job.experiment.training.batch_size, list(devices)
    examples = job.evaluated_examples()
    plan = choose_plan(
        job.autoencoder,
        snapshot.best_params,
        examples["train"],
        examples["test"],
        batch_size=size,
        devices=devices,
        streamed=True,
    )
    fewest = min(-(-len(of_split.x) // size) for of_split in examples.values())  # batches of a split
    evaluate = make_evaluate(
        job.autoencoder,
        batch_size=size,
        devices=devices,
        streamed=True,
        batches_per_call=min(fewest, plan.batches_per_call),
        padded=True,
    )
    params, key = replicate(snapshot.best_params, devices), run_keys(snapshot.state).evaluation
    means = {name: evaluate(params, key, of_split) for name, of_split in examples.items()}
    without_test = {name: of_split for name, of_split in means.items() if name != "test"}  # test may hold anomalies
    check_result(job.experiment, job.splits.train, job.facts, without_test)
    return means


def conclude(
    folder: RunFolder,
    run: TrainedRun,
    means: dict[str, dict[str, float]],
    *,
    step: int,
    figure_format: FigureFormat | None = "png",
    console: Console,
) -> None:
    """Write a run's last record, the anomaly scores of its validation examples and its figures; print its summary.

    The statistics of the code and the figures use `MAX_EXAMPLES` test examples, random ones of more; scores of
    disentanglement use those that are `scorable`.

    Args:
      folder: the run folder to write to.
      run: the trained run.
      means: split -> term -> mean, from `evaluate_best`.
      step: the last step of training.
      figure_format: the format of figures; None draws none.
      console: the console to print to.
    """
    test = _shown(run.splits.test)
    conditions, bounds = run.conditions_of(test), bounds_of_code(run.experiment.model)
    code = None
    with optional("statistics of the code", console.print):
        code = code_statistics(
            run.autoencoder, run.params, run.keys.statistics, test.encoder_inputs, *conditions, bounds=bounds
        )
    if code is not None and test.factors is not None:
        with optional("scores of disentanglement", console.print):
            scored = scorable(run.splits.test)
            assert scored.factors is not None  # as of the first test examples
            code.update(factor_scores(run.encode(scored), scored.factors))
    terms = means["test"] | ({} if code is None else as_terms(code))
    folder.write({"step": step, "epoch": run.best_epoch, **{f"test/{term}": value for term, value in terms.items()}})
    epochs = step // (len(run.splits.train.x) // run.experiment.training.batch_size)
    title = f"best epoch {run.best_epoch} of {epochs}; means over examples, for the parameters after that epoch"
    console.print(summary_table(title, means, term_of=partial(term_of, parts=run.autoencoder.parts)))
    console.print(loss_note(run.autoencoder.parts))
    for line in treatment_lines(run, test.x):
        console.print(line)
    if run.facts.columns is not None:
        with optional("errors of the columns", console.print):
            for line in describe_result(table_result(run, test)):
                console.print(line)
    if broken := [term for term, value in terms.items() if not math.isfinite(value)]:
        console.print(f"not finite on test examples, and left out of the record: {', '.join(broken)}")
    if code is not None:
        for sentence in code_sentences(code):
            console.print(sentence)
    if can_score_samples(run):
        with optional("scores of samples", console.print):
            result = score_samples(run)
            write_samples(folder.path, result)
            for line in describe_samples(result):
                console.print(line)
    with optional("anomaly scores of the validation examples", console.print):
        write_scores(folder.path, score(run, run.splits.validation))
    if figure_format is None:
        return
    with optional("figures", console.print):
        drawn = draw_figures(run, test, code=code, records=folder.records())
        for name, figure in drawn.items():
            save_figure(figure, folder.figures, name, file_format=figure_format)
    if is_dictionary(run):
        with optional("figures of the units", console.print):
            for name, figure in draw_units(run, test).items():
                save_figure(figure, folder.figures, name, file_format=figure_format)


def _shown(test: Dataset) -> Dataset:
    few = random_subset(test, MAX_EXAMPLES, seed=0)
    return few._replace(x=np.asarray(few.x))
