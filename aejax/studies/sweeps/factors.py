"""Scores of disentanglement of a sweep's members, where the factors of variation of its data are known."""

import math

import numpy as np
from jaxtyping import PyTree

from aejax.evaluation import encode_all
from aejax.evaluation.disentanglement import TITLES, is_dead
from aejax.experiment.factor_scores import describe_unscorable, factor_scores, scorable
from aejax.experiment.job import Job
from aejax.experiment.loading import conditions_of
from aejax.studies.sweeps.members import Measure, Measured


def measure_of_factors(job: Job) -> Measure | None:
    """Returns a function that scores the codes of validation and test examples; None if no factors are known.

    A split with too few examples has no scores; scores of codes that are all equal or not finite are NaN.

    Args:
      job: of a group of settings, which may differ in numbers that the code of an example does not depend on.
    """
    few = {
        name: scorable(part)
        for name, part in job.splits._asdict().items()
        if name != "train" and part.factors is not None and describe_unscorable(part.factors) is None
    }
    if not few:
        return None

    def measure(params: PyTree) -> Measured:
        terms: dict[str, float] = {}
        for name, part in few.items():
            assert part.factors is not None
            conditions = conditions_of(job.experiment.model, part, job.facts)
            codes = encode_all(job.autoencoder, params, np.asarray(part.encoder_inputs), *conditions)
            has_scores = np.isfinite(codes).all() and not is_dead(codes.reshape(len(codes), -1)).all()
            scores = factor_scores(codes, part.factors) if has_scores else dict.fromkeys(TITLES, math.nan)
            terms |= {f"{name}/code/{score}": value for score, value in scores.items()}
        return Measured(terms, {})

    return measure
