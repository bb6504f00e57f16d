"""Opens a trained autoencoder from its run folder."""

import functools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from aejax.autoencoders import Autoencoder
from aejax.datasets.dataset import Dataset, Splits
from aejax.datasets.sequences import cut_like, cut_to
from aejax.datasets.sources import source_of
from aejax.errors import UserError
from aejax.evaluation import decode_all, encode_all
from aejax.experiment.build import build_autoencoder
from aejax.experiment.configuration import Experiment
from aejax.experiment.data_of_run import at_place, load_data_of_run
from aejax.experiment.facts import Facts, read_facts
from aejax.experiment.loading import as_evaluated, conditions_of, example_of
from aejax.experiment.optimizers import build_optimizer
from aejax.experiment.own_autoencoder import with_own_copy
from aejax.experiment.run_folder import read_experiment
from aejax.host.commands import verb_command
from aejax.keys import named_key
from aejax.priors import Prior, standard_normal
from aejax.training import RunKeys, run_keys, start
from aejax.training.checkpoints import Checkpoints


class TrainedRun(NamedTuple):
    """A run with its best parameters; nothing is written to its folder, and its data are read only when needed."""

    path: Path
    experiment: Experiment
    autoencoder: Autoencoder
    params: PyTree  # with the best validation loss
    best_epoch: int  # the epoch of these parameters
    facts: Facts  # of the training examples
    keys: RunKeys  # random keys for evaluation, the same every time the run is opened
    load_splits: Callable[[], Splits]  # reads the data at the first call

    @property
    def splits(self) -> Splits:
        """The training, validation and test examples, as they are evaluated (`as_evaluated`), read at the first use.

        Raises:
          UserError: the data are missing or have changed.
        """
        return self.load_splits()

    @property
    def example_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.facts.shape

    @property
    def code_shape(self) -> tuple[int, ...]:
        """The shape of the code of one example."""
        example = example_of(self.experiment.model, self.facts)
        return jax.eval_shape(partial(self.autoencoder.encode, self.params), *example).shape

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest value of the training targets."""
        return self.facts.targets.low, self.facts.targets.high

    @property
    def value_range(self) -> tuple[float, float]:
        """The range of possible values of the targets: 0 to 1 of images with such values, else `limits`."""
        low, high = self.limits
        is_image = source_of(self.experiment.data.dataset).layout == "image"
        return (0.0, 1.0) if is_image and low >= 0 and high <= 1 else (low, high)

    def conditions_of(self, dataset: Dataset) -> tuple[np.ndarray, ...]:
        """Returns the condition of every example as one array (N,), in a tuple that is empty for an unconditional run.

        Raises:
          UserError: labels are missing, or no training example has them.
        """
        return conditions_of(self.experiment.model, dataset, self.facts)

    @property
    def is_conditional(self) -> bool:
        """Whether encoder and decoder receive a condition: a class, numbers, an image or columns of a table."""
        return self.experiment.model.conditional or self.facts.given is not None

    @property
    def classes(self) -> np.ndarray:
        """The distinct labels of the training examples, sorted; integers or text, as in the user's data."""
        return np.array([label for label in self.facts.classes or () if label is not None])

    def encode(self, dataset: Dataset) -> np.ndarray:
        """Returns the codes (N, ...code) of a data set's inputs; of pairs, the inputs are the noisy examples."""
        return encode_all(self.autoencoder, self.params, dataset.encoder_inputs, *self.conditions_of(dataset))

    def decode(self, codes: Dataset) -> np.ndarray:
        """Returns the decoded examples (N, ...), in data space; the codes are the `x` of the data set."""
        return decode_all(self.autoencoder, self.params, codes.x, *self.conditions_of(codes))

    @property
    def prior(self) -> Prior | None:
        """The prior of a variational run; N(0, I) if the codes are matched to it, as by `mmd_regularized`; or None."""
        if self.autoencoder.variational is not None:
            return self.autoencoder.variational.prior(self.params)
        return standard_normal() if any(part.matches_prior for part in self.autoencoder.parts) else None

    def sample_codes(self, count: int, *, seed: int = 0) -> np.ndarray:
        """Returns codes (count, ...code) sampled from the prior, which the run must have."""
        prior = self.prior
        assert prior is not None, "only a run that is variational or regularized by the MMD has a prior"
        keys = jax.random.split(named_key(jax.random.key(seed), "codes"), count)
        return np.asarray(jax.vmap(lambda key: prior.sample(key, self.code_shape))(keys))

    def reconstruct(self, dataset: Dataset) -> np.ndarray:
        """Returns the reconstructions (N, ...) of all examples, in data space; of sequences, of their real steps."""
        decoded = self.decode(dataset._replace(x=self.encode(dataset)))
        return decoded if self.facts.lengths is None else cut_like(decoded, np.asarray(dataset.x))

    def with_sampled_lengths(self, decoded: np.ndarray, *, seed: int = 0) -> np.ndarray:
        """Returns decoded sequences (N, T, ...) with NaN after lengths that are drawn from those of training sequences.

        The decoder does not model lengths. Examples that are not padded are returned unchanged.
        """
        if self.facts.lengths is None:
            return decoded
        return cut_to(decoded, np.random.default_rng(seed).choice(self.facts.lengths, len(decoded)))


def open_run(path: str | Path, *, data: str | Path | None = None, trust_code: bool = False) -> TrainedRun:
    """Returns the run in a folder with its best parameters; the run may be unfinished, but needs one evaluation.

    Only the folder is needed: the data are read at the first use of `splits`. A run of an older version without facts
    needs its data immediately.

    Args:
      path: the run folder.
      data: the new place of the data, if they have moved, as for `at_place`; None for their old place.
      trust_code: whether the Python file in the folder of a run with the user's own autoencoder may run.

    Raises:
      UserError: the folder is not a run folder, or holds no complete checkpoint after an evaluation; the new place does
        not exist; the user's own autoencoder is not trusted, or was changed since the run began.
    """
    path = Path(path)
    experiment = with_own_copy(read_experiment(path), path, trust_code=trust_code)
    if not (path / "checkpoints").is_dir():
        raise UserError(f"{path}: holds no parameters: the folder checkpoints is missing")
    experiment = replace(experiment, data=at_place(experiment.data, data))
    load = functools.cache(partial(load_data_of_run, path, experiment))
    facts = read_facts(path)
    if facts is None or facts.examples is None:
        facts = load()[1]
    assert facts.examples is not None  # ensured by `completed`
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
    splits = functools.cache(lambda: as_evaluated(load()[0], experiment.data))
    params, epoch = snapshot.best_params, snapshot.stopping.best_epoch
    return TrainedRun(path, experiment, autoencoder, params, epoch, facts, keys, splits)
