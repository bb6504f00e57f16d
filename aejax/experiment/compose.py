"""Composes with a run on chorales: windows sampled from its prior, and the bound on held-out chorales."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from aejax import plots
from aejax.datasets.dataset import Dataset
from aejax.datasets.jsb_chorales import LOWEST_NOTE
from aejax.datasets.sources import source_of
from aejax.errors import ArgumentError
from aejax.evaluation.music import frequency_baseline
from aejax.experiment.at_use import check_kind
from aejax.experiment.loading import as_examples
from aejax.experiment.trained import TrainedRun
from aejax.keys import named_key
from aejax.training import make_evaluate
from aejax.training.devices import replicate


class NatsPerStep(NamedTuple):
    """Negative log-likelihood of held-out chorales, in nats per quarter note; lower is better."""

    bound: float  # upper bound for the run
    baseline: float  # of independent keys, each with its frequency in the training chorales


def check_composes(run: TrainedRun) -> None:
    """Raise UserError unless a run is variational and was trained on piano rolls."""
    is_of_rolls = source_of(run.experiment.data.dataset).layout == "roll"
    is_music = run.autoencoder.variational is not None and is_of_rolls
    check_kind(run, is_music, "a variational run on jsb_chorales", what="compose")


def compose(
    run: TrainedRun, *, count: int = 8, most_probable: bool = False, seed: int = 0
) -> Float[np.ndarray, "count T keys"]:
    """Returns windows of piano rolls, decoded from codes that are sampled from the prior.

    Args:
      run: a variational run on jsb_chorales.
      count: the number of windows.
      most_probable: whether keys with a probability above 0.5 sound, instead of sampling every key.
      seed: the seed of the codes and the notes.

    Returns:
      An array that is 1 where a key sounds and 0 elsewhere; T counts quarter notes.

    Raises:
      UserError: a run of another kind, or a count below 1.
    """
    check_composes(run)
    if count < 1:
        raise ArgumentError("count", f"must be at least 1, got {count:,}")
    codes = run.sample_codes(count, seed=seed)
    if most_probable:
        return run.decode(Dataset(codes))
    distributions = run.autoencoder.variational
    assert distributions is not None  # ensured by check_composes
    likelihood, decode = distributions.likelihood, distributions.decode_parameters
    keys = jax.random.split(named_key(jax.random.key(seed), "notes"), count)
    draw = jax.jit(jax.vmap(lambda params, key, code: likelihood.sample(key, decode(params, code)), (None, 0, 0)))
    return np.asarray(draw(run.params, keys, codes))


def nats_per_step(run: TrainedRun) -> NatsPerStep:
    """Returns the run's bound on the negative log-likelihood of its test windows, and that of a baseline.

    Raises:
      UserError: a run that is not variational or not on piano rolls.
    """
    check_composes(run)
    devices, test = jax.devices()[:1], run.splits.test
    evaluate = make_evaluate(run.autoencoder, batch_size=100, devices=devices)
    examples = as_examples(run.experiment.model, test, run.facts)
    means = evaluate(replicate(run.params, devices), run.keys.evaluation, examples)
    return NatsPerStep(-means["elbo"] / test.x.shape[1], frequency_baseline(run.splits.train.x, test.x))


def draw_piano_rolls(run: TrainedRun, rolls: Float[np.ndarray, "count T keys"]) -> Figure:
    """Returns a figure of composed windows below the same number of held-out windows."""
    rows = {"held-out chorales": run.splits.test.x[: len(rolls)], "composed": rolls}
    return plots.piano_rolls(rows, lowest_note=LOWEST_NOTE)
