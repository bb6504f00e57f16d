"""A job: an experiment with its examples, autoencoder and optimizer; and `fit`, which trains it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import jax
import optax

from aejax.autoencoders import Autoencoder, Examples
from aejax.datasets.dataset import Splits
from aejax.experiment.build import build_augmentation, build_autoencoder
from aejax.experiment.configuration import Experiment
from aejax.experiment.facts import Facts
from aejax.experiment.loading import as_evaluated, as_examples, bytes_of, check_data, example_of, load_splits, locate
from aejax.experiment.optimizers import build_optimizer
from aejax.experiment.plausibility import check_result
from aejax.experiment.scaling import make_facts
from aejax.training import Report, Snapshot, check_parameters, start, train
from aejax.training.devices import check_batch_size


class Job(NamedTuple):
    """Everything that training needs; `make_job` returns it."""

    experiment: Experiment
    splits: Splits
    facts: Facts  # of the training examples
    autoencoder: Autoencoder
    optimizer: optax.GradientTransformation

    def examples(self, split: Literal["train", "validation", "test"]) -> Examples:
        """Returns the examples of a split in the form that training and evaluation expect."""
        return as_examples(self.experiment.model, getattr(self.splits, split), self.facts)

    def evaluated_examples(self) -> dict[str, Examples]:
        """Returns the examples of every split as they are evaluated, by `as_evaluated`: split -> examples."""
        splits = as_evaluated(self.splits, self.experiment.data)
        return {name: as_examples(self.experiment.model, part, self.facts) for name, part in splits._asdict().items()}

    def start(self) -> Snapshot:
        """Returns the snapshot before the first step."""
        key = jax.random.key(self.experiment.training.seed)
        return start(self.autoencoder, self.optimizer, key, *example_of(self.experiment.model, self.facts))

    @property
    def steps_per_epoch(self) -> int:
        """The number of full batches of training examples."""
        return len(self.splits.train.x) // self.experiment.training.batch_size


def make_job(
    experiment: Experiment,
    splits: Splits | None = None,
    *,
    facts: Facts | None = None,
    devices: int = 1,
    stored: bool | None = None,
) -> Job:
    """Returns the job of an experiment, after all checks that are possible before training.

    Args:
      experiment: the configuration.
      splits: the examples; None to load the data set that the experiment names.
      facts: the facts of the training examples; None to compute them.
      devices: the number of devices, which must divide the batch size.
      stored: whether the examples of a .npy file stay in it, as for `load_splits`.

    Raises:
      UserError: examples cannot be loaded, or do not suit the model or the batch size; constructors cannot be combined.

    >>> job = make_job(Experiment())
    >>> len(job.splits.train.x), job.steps_per_epoch, job.facts.shape
    (1258, 19, (8, 8, 1))
    """
    if splits is None:
        experiment = replace(experiment, data=locate(experiment.data))
        splits = load_splits(experiment.data, stored=stored, bytes_as=bytes_of(experiment))
    facts = make_facts(experiment, splits.train) if facts is None else facts
    training, examples = experiment.training, len(splits.train.x)
    check_data(experiment.model, splits, experiment.data.dataset, facts)
    check_batch_size(training.batch_size, examples, devices, training.accumulation_steps)
    autoencoder = build_autoencoder(experiment, facts)
    return Job(experiment, splits, facts, autoencoder, build_optimizer(experiment, examples))


def fit(
    job: Job,
    *,
    snapshot: Snapshot | None = None,
    devices: Sequence[jax.Device] | None = None,
    streamed: bool | None = None,
    on_report: Callable[[Report], bool | None] | None = None,
) -> Snapshot:
    """Trains a job to its end, and writes no files.

    Args:
      job: the job; its test examples are not used.
      snapshot: the snapshot to continue from, whose buffers are donated; None to start from the beginning.
      devices: as for `train`.
      streamed: as for `train`.
      on_report: a function that is called with every report; training stops if it returns True.

    Returns:
      The last snapshot, which holds the best parameters.

    Raises:
      UserError: `train` refuses the job, or the trained autoencoder is orders of magnitude worse than predicting the
        mean.
      NonFiniteLossError: the loss, or a parameter, is NaN or infinite.

    >>> from aejax.experiment.configuration import Model, Training
    >>> job = make_job(Experiment(model=Model(hidden=(), code_size=2), training=Training(epochs=1)))
    >>> snapshot = fit(job, devices=jax.devices()[:1])
    >>> int(snapshot.state.step), snapshot.stopping.best_epoch
    (19, 1)
    """
    training = job.experiment.training
    snapshot = job.start() if snapshot is None else snapshot
    best: dict[str, float] = {}  # the evaluation of the best parameters
    for report in train(
        job.autoencoder,
        job.optimizer,
        snapshot,
        job.examples("train"),
        job.examples("validation"),
        batch_size=training.batch_size,
        epochs=training.epochs,
        evaluate_every=training.evaluate_every,
        patience=training.patience,
        min_delta=training.min_delta,
        devices=devices,
        augment=build_augmentation(job.experiment.data),
        accumulation_steps=training.accumulation_steps,
        streamed=streamed,
    ):
        snapshot = report.snapshot
        if report.evaluation is not None and snapshot.stopping.evaluations_since == 0:
            best = report.evaluation
        if on_report is not None and on_report(report):
            return snapshot
    check_parameters(snapshot.state, job.autoencoder, job.splits.train.x)
    prefix = "validation/"
    terms = {term.removeprefix(prefix): value for term, value in best.items() if term.startswith(prefix)}
    check_result(job.experiment, job.splits.train, job.facts, {"validation": terms} if terms else {})
    return snapshot
