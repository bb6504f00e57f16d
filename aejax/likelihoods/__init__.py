"""Likelihoods: the distribution of ONE example that a decoder's output parameterizes, as a record of pure functions.

Log-probabilities are summed over all features, in nats, and include all normalizing constants.
"""

from aejax.likelihoods.continuous import beta as beta
from aejax.likelihoods.continuous import continuous_bernoulli as continuous_bernoulli
from aejax.likelihoods.continuous import gaussian as gaussian
from aejax.likelihoods.continuous import gaussian_with_predicted_variance as gaussian_with_predicted_variance
from aejax.likelihoods.continuous import laplace as laplace
from aejax.likelihoods.discrete import bernoulli as bernoulli
from aejax.likelihoods.discrete import categorical as categorical
from aejax.likelihoods.discrete import poisson as poisson
from aejax.likelihoods.discretized import discretized_logistic as discretized_logistic
from aejax.likelihoods.known import over_known as over_known
from aejax.likelihoods.record import Likelihood as Likelihood
from aejax.likelihoods.record import Support as Support
from aejax.likelihoods.record import check_support as check_support
from aejax.likelihoods.record import constrain as constrain
from aejax.likelihoods.record import parameter_shape as parameter_shape
from aejax.likelihoods.standardized import standardized as standardized

__all__ = [
    "Likelihood",
    "Support",
    "bernoulli",
    "beta",
    "categorical",
    "check_support",
    "constrain",
    "continuous_bernoulli",
    "discretized_logistic",
    "gaussian",
    "gaussian_with_predicted_variance",
    "laplace",
    "over_known",
    "parameter_shape",
    "poisson",
    "standardized",
]
