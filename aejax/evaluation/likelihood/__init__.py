"""Log-likelihoods of a variational autoencoder's decoder, each with its errors: bounds that hold in expectation."""

from aejax.autoencoders.bits import bits_per_dimension as bits_per_dimension
from aejax.evaluation.likelihood.annealed import Annealed as Annealed
from aejax.evaluation.likelihood.annealed import annealed_log_likelihood as annealed_log_likelihood
from aejax.evaluation.likelihood.hamiltonian import hamiltonian_transition as hamiltonian_transition
from aejax.evaluation.likelihood.hamiltonian import leapfrog as leapfrog
from aejax.evaluation.likelihood.hamiltonian import point_of as point_of
from aejax.evaluation.likelihood.importance_sampling import ImportanceSampled as ImportanceSampled
from aejax.evaluation.likelihood.importance_sampling import (
    importance_sampled_log_likelihood as importance_sampled_log_likelihood,
)
from aejax.evaluation.likelihood.mean import MeanWithErrors as MeanWithErrors
from aejax.evaluation.likelihood.mean import mean_with_errors as mean_with_errors
from aejax.evaluation.likelihood.pareto import MAX_PARETO_K as MAX_PARETO_K
from aejax.evaluation.likelihood.pareto import pareto_k as pareto_k
from aejax.evaluation.likelihood.path import temperatures as temperatures
from aejax.evaluation.likelihood.pilot import StepSizes as StepSizes
from aejax.evaluation.likelihood.pilot import tuned_step_sizes as tuned_step_sizes
from aejax.evaluation.likelihood.simulated import Simulated as Simulated
from aejax.evaluation.likelihood.simulated import simulated_examples as simulated_examples

__all__ = [
    "MAX_PARETO_K",
    "Annealed",
    "ImportanceSampled",
    "MeanWithErrors",
    "Simulated",
    "StepSizes",
    "annealed_log_likelihood",
    "bits_per_dimension",
    "hamiltonian_transition",
    "importance_sampled_log_likelihood",
    "leapfrog",
    "mean_with_errors",
    "pareto_k",
    "point_of",
    "simulated_examples",
    "temperatures",
    "tuned_step_sizes",
]
