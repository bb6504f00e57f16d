"""A trained autoencoder, opened from its run folder."""

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
from aejax.errors import UserError
from aejax.evaluation import decode_all, encode_all
from aejax.experiment.build import build_autoencoder
from aejax.experiment.configuration import Experiment
from aejax.experiment.data_of_run import at_place, load_data_of_run
from aejax.experiment.facts import Facts, read_facts
from aejax.experiment.loading import conditions_of, example_of
from aejax.experiment.optimizers import build_optimizer
from aejax.experiment.own_autoencoder import with_own_copy
from aejax.experiment.run_folder import read_experiment
from aejax.host.commands import verb_command
from aejax.keys import named_key
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
      UserError: no run folder, no complete checkpoint in it, none after an evaluation, or nothing at the new place;
        code that is not trusted, or that was changed since the run began.
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
