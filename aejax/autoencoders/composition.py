"""What goes together: the checks that every constructor makes before it builds or wraps an autoencoder."""

from aejax.autoencoders.record import Autoencoder
from aejax.errors import IncompatibleError

_NEED_A_POSTERIOR = ("importance_weighted", "total_correlation_penalized")
# Wrapping denoising in denoising corrupts what is corrupted already, which is a corruption too; the others would count
# one term twice under one name.
_ONCE = (
    "conditional",
    "contractive",
    "importance_weighted",
    "mmd_regularized",
    "sparse",
    "sparse_kl",
    "total_correlation_penalized",
)
_APART = {
    frozenset(pair): reason
    for *pair, reason in (
        ("conditional", "tied", "tied weights leave no room for a condition"),
        ("conditional", "vamp_prior", "pseudo-inputs have no condition"),
        ("sparse", "k_sparse", "k_sparse fixes already how many entries of a code are active"),
        ("sparse_kl", "k_sparse", "k_sparse fixes already how many entries of a code are active"),
        ("sparse_kl", "variational", "a target activation wants codes in [0, 1], and a posterior's mean is any number"),
        ("mmd_regularized", "k_sparse", "codes of which all but k entries are 0 cannot follow the prior"),
        ("mmd_regularized", "sparse_kl", "codes in [0, 1] cannot follow a normal prior"),
        ("importance_weighted", "beta", "the bound does not weigh the divergence: beta must be 1"),
        ("importance_weighted", "free_bits", "the bound has no divergence by dimension: leave free_bits out"),
    )
}


def check_composition(autoencoder: object, constructor: str) -> None:
    """Raise where a wrapper is given something that it does not go with, and say why.

    Raises:
      TypeError: no autoencoder, or one without the posterior that the wrapper needs.
      IncompatibleError: the wrapper contradicts another part.
      ValueError: the wrapper is there already, or would throw another part's term away.

    >>> from aejax.autoencoders import k_sparse, sparse
    >>> from aejax.networks import MLP
    >>> sparse(k_sparse(MLP(output_shape=(20,)), MLP(output_shape=(5,)), k=3), weight=0.1)
    Traceback (most recent call last):
    ...
    aejax.errors.IncompatibleError: sparse and k_sparse cannot be combined: k_sparse fixes already how many entries ...
    """
    if not isinstance(autoencoder, Autoencoder):
        raise TypeError(
            f"{constructor} wraps an autoencoder, such as undercomplete(encoder, decoder), got {autoencoder!r}"
        )
    if constructor in _NEED_A_POSTERIOR and autoencoder.variational is None:
        raise TypeError(f"{constructor} wraps a variational autoencoder: the one given has no posterior")
    if constructor in _ONCE and constructor in autoencoder.parts:
        raise ValueError(f"{constructor} is part of this autoencoder already")
    for part in autoencoder.parts:
        if reason := _APART.get(frozenset((constructor, part))):
            raise IncompatibleError(constructor, part, reason)
    wrappers = [part for part in autoencoder.parts if part == "denoising" or part in _ONCE]
    if constructor == "importance_weighted" and (lost := [part for part in wrappers if part != "conditional"]):
        raise ValueError(
            f"importance_weighted puts its bound in the place of the loss, and what {lost[0]} adds would be lost: "
            f"wrap the other way round, {lost[0]}(importance_weighted(...))"
        )
