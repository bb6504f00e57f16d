"""A trained autoencoder, opened from its run folder, and files checked against it."""

import functools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from aejax.autoencoders import Autoencoder, part_names
from aejax.datasets.arrays import load_arrays
from aejax.datasets.byte_values import BytesAs, ByteValues
from aejax.datasets.dataset import Dataset, Splits, sampled_blocks
from aejax.datasets.stored import StoredArray
from aejax.errors import UserError
from aejax.evaluation import decode_all, encode_all
from aejax.experiment.build import build_autoencoder
from aejax.experiment.configuration import Experiment
from aejax.experiment.data_of_run import at_place, load_data_of_run
from aejax.experiment.facts import Facts, Values, list_labels, read_facts, unseen_labels
from aejax.experiment.familiarity import check_scale
from aejax.experiment.loading import conditions_of, example_of
from aejax.experiment.optimizers import build_optimizer
from aejax.experiment.own_autoencoder import with_own_copy
from aejax.experiment.run_folder import read_experiment
from aejax.host.commands import verb_command
from aejax.keys import named_key
from aejax.likelihoods import check_support
from aejax.priors import Prior, standard_normal
from aejax.training import RunKeys, run_keys, start
from aejax.training.checkpoints import Checkpoints


class TrainedRun(NamedTuple):
    """A run whose best parameters are at hand; its folder is only read, and its examples only where they are needed."""

    path: Path
    experiment: Experiment
    autoencoder: Autoencoder
    params: PyTree  # of the evaluation with the best validation loss
    best_epoch: int  # of that evaluation
    facts: Facts  # of the training examples
    keys: RunKeys  # of what is drawn in evaluation: the same every time the run is opened
    load_splits: Callable[[], Splits]  # reads the examples when it is called first

    @property
    def splits(self) -> Splits:
        """The examples as they were in training; no test example has been seen by the parameters.

        They are read at the first use.

        Raises:
          UserError: the examples are not there any more, or have changed.
        """
        return self.load_splits()

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Of one example."""
        return self.facts.shape

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Of the code of one example."""
        example = example_of(self.experiment.model, self.facts)
        return jax.eval_shape(partial(self.autoencoder.encode, self.params), *example).shape

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest number of the training examples that are reconstructed."""
        return self.facts.targets.low, self.facts.targets.high

    def conditions_of(self, dataset: Dataset) -> tuple[np.ndarray, ...]:
        """What a conditional autoencoder is told of every example, as one array; UserError where labels are missing."""
        return conditions_of(self.experiment.model, dataset, self.facts)

    @property
    def classes(self) -> np.ndarray:
        """The labels of the training examples, sorted, as the user has given them."""
        return np.array([label for label in self.facts.classes or () if label is not None])

    def encode(self, dataset: Dataset) -> np.ndarray:
        """The code of every example, of pairs that of the noisy one: (N, ...code)."""
        return encode_all(self.autoencoder, self.params, dataset.seen, *self.conditions_of(dataset))

    def decode(self, codes: Dataset) -> np.ndarray:
        """The example that every code stands for, in data space: (N, ...)."""
        return decode_all(self.autoencoder, self.params, codes.x, *self.conditions_of(codes))

    @property
    def prior(self) -> Prior | None:
        """That of a variational run; N(0, I) of another whose codes were drawn towards it, as by `mmd_regularized`."""
        if self.autoencoder.variational is not None:
            return self.autoencoder.variational.prior(self.params)
        return standard_normal() if any(part.matches_prior for part in self.autoencoder.parts) else None

    def sample_codes(self, count: int, *, seed: int = 0) -> np.ndarray:
        """Codes (count, ...code) drawn from the prior."""
        prior = self.prior
        assert prior is not None, "only a run that is variational or regularized by the MMD has a prior"
        keys = jax.random.split(named_key(jax.random.key(seed), "codes"), count)
        return np.asarray(jax.vmap(lambda key: prior.sample(key, self.code_shape))(keys))

    def reconstruct(self, dataset: Dataset) -> np.ndarray:
        """The reconstruction of every example, in data space: (N, ...)."""
        return self.decode(dataset._replace(x=self.encode(dataset)))


def open_run(path: str | Path, *, data: str | Path | None = None, trust_code: bool = False) -> TrainedRun:
    """Returns the run in a folder, finished or stopped after an evaluation at least, with its best parameters.

    The folder is all that it needs: the examples are read when `splits` is first asked for. A run of an older version,
    whose folder lacks facts, needs them at once.

    Args:
      path: the run folder.
      data: the new place of the examples, where they have moved, as for `at_place`; None for where they were.
      trust_code: whether to run the Python file in the folder of a run with an autoencoder of the user's own.

    Raises:
      UserError: no run folder, no whole checkpoint in it, none after an evaluation, or nothing at the new place; code
        that is not trusted, or that was changed since the run began.
    """
    path = Path(path)
    experiment = with_own_copy(read_experiment(path), path, trust_code=trust_code)
    if not (path / "checkpoints").is_dir():
        raise UserError(f"{path}: holds no parameters, it has no checkpoints")
    experiment = replace(experiment, data=at_place(experiment.data, data))
    load = functools.cache(partial(load_data_of_run, path, experiment))
    facts = read_facts(path)
    if facts is None or facts.examples is None:
        facts = load()[1]
    assert facts.examples is not None  # `completed` has seen to it
    autoencoder = build_autoencoder(experiment, facts)
    optimizer = build_optimizer(experiment, facts.examples)
    example = example_of(experiment.model, facts)
    checkpoints = Checkpoints(path / "checkpoints", read_only=True)
    try:
        template = start(autoencoder, optimizer, jax.random.key(experiment.training.seed), *example)
        snapshot = checkpoints.restore(template)
    finally:
        checkpoints.close()
    if snapshot.stopping.best_epoch == 0:
        command = verb_command("train", "--resume", path)
        raise UserError(f"{path}: was stopped before its first evaluation; continue it with {command}")
    keys = run_keys(snapshot.state)
    params, epoch = snapshot.best_params, snapshot.stopping.best_epoch
    return TrainedRun(path, experiment, autoencoder, params, epoch, facts, keys, lambda: load()[0])


def check_kind(run: TrainedRun, fits: bool, expected: str, *, what: str) -> None:
    """Raise UserError where a run is not of the kind that a function expects.

    Args:
      run: which was named by the user.
      fits: whether the function can use it.
      expected: what it can use, in words, such as `a variational run`.
      what: the function, in words.
    """
    if not fits:
        kind = f"{' and '.join(part_names(run.autoencoder.parts))} on {run.experiment.data.dataset}"
        raise UserError(f"{run.path}: {what} expects {expected}, and this run is {kind}")


def check_no_pairs(run: TrainedRun, *, what: str) -> None:
    """Raise UserError where the encoder is given other examples than it reconstructs: PCA cannot be compared then."""
    expected = "a run whose encoder is given what it is to reconstruct, not pairs"
    check_kind(run, run.facts.inputs is None, expected, what=what)


def load_examples(
    run: TrainedRun, path: str | Path, labels: str | Path | None = None, *, clean: bool = False, any_scale: bool = False
) -> Dataset:
    """Examples of the user's for a run, from a .npy or .npz file; axes of length 1 may be missing or too many.

    Bytes are read as those that the run was trained on. Where it was trained on no bytes they are taken as they are
    or, where it was trained on numbers in [0, 1], as `load_arrays` decides by their values.

    Args:
      run: that takes them.
      path: the file.
      labels: of a conditional run, a .npy file.
      clean: whether they are such as are reconstructed, of a run on pairs, and not the noisy ones.
      any_scale: take them though they seem to be in another unit than the training data.

    Raises:
      UserError: what `load_arrays` refuses, examples of another shape than the run was trained on or, as far as
        `check_scale` can see, in another unit; fractions for a likelihood of whole numbers; or, of a conditional run,
        labels that are missing or that it does not know.
    """
    path, labels = Path(path), None if labels is None else Path(labels)
    facts = run.facts
    expected = facts.targets if clean else facts.seen
    bytes_as = BytesAs(_bytes_at_use(expected), _bytes_at_use(facts.seen))
    dataset = load_arrays(path, labels, bytes_as=bytes_as)
    shape, wanted = dataset.x.shape[1:], run.example_shape
    if _without_ones(shape) != _without_ones(wanted):
        is_channels_first = len(wanted) == 3 and (*shape[1:], *shape[:1]) == wanted
        advice = "; channels come last: save numpy.moveaxis(x, 1, -1)" if is_channels_first else ""
        raise UserError(
            f"{path}: examples have shape {shape}, and {run.path} was trained on examples of {wanted}{advice}"
        )
    _check_classes(run, dataset, path)
    distributions = run.autoencoder.variational
    if distributions is not None and distributions.likelihood.support.integers:
        for block in sampled_blocks(dataset.x):
            check_support(distributions.likelihood, block, str(path), advice="give counts, as the run was trained on")
    if not any_scale:
        corruption = run.experiment.regularization
        unit = 1.0 if facts.scaling is None else max(facts.scaling.scale)
        noise = unit * corruption.corruption_level if corruption.corruption == "gaussian_noise" else 0.0
        check = partial(check_scale, run=str(run.path), noise=noise)
        if dataset.input is not None:
            check(dataset.input, dataset.stored_input, facts.seen, name=f"{path}, input")
            expected = facts.targets
        check(dataset.x, dataset.stored, expected, name=str(path))
    if shape == wanted:
        return dataset
    if isinstance(dataset.x, StoredArray):
        dataset = load_arrays(path, labels, stored=False, bytes_as=bytes_as)
    observed = None if dataset.input is None else dataset.input.reshape(-1, *wanted)
    return dataset._replace(x=dataset.x.reshape(-1, *wanted), input=observed)


def _bytes_at_use(trained_on: Values) -> ByteValues:
    """What bytes in a file for a run stand for, whose numbers were these."""
    if trained_on.dtype == "uint8":
        return "scaled" if trained_on.divided_by == 255 else "as_is"
    return "auto" if trained_on.low >= 0 and trained_on.high <= 1 else "as_is"


def load_codes(run: TrainedRun, path: str | Path, labels: str | Path | None = None) -> Dataset:
    """Codes to decode, from a .npy or .npz file.

    Raises:
      UserError: what `load_arrays` refuses, codes of another shape than the run's, or, of a conditional run, labels
        that are missing or that it does not know.
    """
    path, labels = Path(path), None if labels is None else Path(labels)
    codes = load_arrays(path, labels, bytes_as=BytesAs("as_is", "as_is"))
    shape, wanted = codes.x.shape[1:], run.code_shape
    if shape != wanted:
        raise UserError(f"{path}: codes have shape {shape}, and those of {run.path} have {wanted}")
    _check_classes(run, codes, path)
    return codes


def _check_classes(run: TrainedRun, dataset: Dataset, path: Path) -> None:
    """Raise UserError where a conditional run is given labels that it was not trained on."""
    if run.experiment.model.conditional and dataset.labels is not None:
        classes = run.facts.classes or ()
        if unseen := unseen_labels(dataset.labels, classes):
            raise UserError(
                f"{path}: {run.path} was trained on {list_labels(classes)}, and there are labels of "
                f"{list_labels(unseen)}"
            )
    run.conditions_of(dataset)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)
