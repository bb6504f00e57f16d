"""Music from a run on chorales: windows drawn from its prior, and how well it predicts held-out chorales."""

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
    """How well held-out chorales are predicted, in nats per quarter note: less is better."""

    bound: float  # upper bound on the run's negative log-likelihood
    baseline: float  # negative log-likelihood of a model that knows how often each key sounds


def check_composes(run: TrainedRun) -> None:
    """Raise UserError where a run is not a variational one on piano rolls."""
    is_of_rolls = source_of(run.experiment.data.dataset).layout == "roll"
    is_music = run.autoencoder.variational is not None and is_of_rolls
    check_kind(run, is_music, "a variational run on jsb_chorales", what="compose")


def compose(
    run: TrainedRun, *, count: int = 8, most_probable: bool = False, seed: int = 0
) -> Float[np.ndarray, "count T keys"]:
    """Returns windows of piano rolls, decoded from codes that are drawn from the prior.

    Args:
      run: variational, on jsb_chorales.
      count: number of windows.
      most_probable: whether a key sounds where its probability is above one half, instead of being drawn.
      seed: of the codes and the notes.

    Returns:
      1 where a key sounds and 0 elsewhere; T are quarter notes.

    Raises:
      UserError: another run, a count of windows below 1.
    """
    check_composes(run)
    if count < 1:
        raise ArgumentError("count", f"must be at least 1, got {count:,}")
    codes = run.sample_codes(count, seed=seed)
    if most_probable:
        return run.decode(Dataset(codes))
    distributions = run.autoencoder.variational
    assert distributions is not None  # of a variational run, which it is
    likelihood, decode = distributions.likelihood, distributions.decode_parameters
    keys = jax.random.split(named_key(jax.random.key(seed), "notes"), count)
    draw = jax.jit(jax.vmap(lambda params, key, code: likelihood.sample(key, decode(params, code)), (None, 0, 0)))
    return np.asarray(draw(run.params, keys, codes))


def nats_per_step(run: TrainedRun) -> NatsPerStep:
    """Returns how well a run predicts its test windows, compared with the frequency of each key."""
    check_composes(run)
    devices, test = jax.devices()[:1], run.splits.test
    evaluate = make_evaluate(run.autoencoder, batch_size=100, devices=devices)
    examples = as_examples(run.experiment.model, test, run.facts)
    means = evaluate(replicate(run.params, devices), run.keys.evaluation, examples)
    return NatsPerStep(-means["elbo"] / test.x.shape[1], frequency_baseline(run.splits.train.x, test.x))


def draw_piano_rolls(run: TrainedRun, rolls: Float[np.ndarray, "count T keys"]) -> Figure:
    """Returns a figure of composed windows, below as many windows of held-out chorales."""
    rows = {"held-out chorales": run.splits.test.x[: len(rolls)], "composed": rolls}
    return plots.piano_rolls(rows, lowest_note=LOWEST_NOTE)
