"""The compatibility check that every wrapper makes before it wraps an autoencoder, from the traits of the parts."""

from aejax.autoencoders.part import Part, part_names
from aejax.autoencoders.record import Autoencoder
from aejax.errors import IncompatibleError


def check_composition(autoencoder: object, part: Part) -> None:
    """Raise unless the wrapper that `part` describes can be applied to an autoencoder; the message gives the reason.

    Raises:
      TypeError: `autoencoder` is not an `Autoencoder`, or has no posterior and the wrapper requires one.
      IncompatibleError: the wrapper cannot be combined with another part.
      ValueError: the wrapper has been applied before and can be applied only once, or it would discard the term of
        another part.

    >>> from aejax.autoencoders import k_sparse, sparse
    >>> from aejax.networks import MLP
    >>> sparse(k_sparse(MLP(output_shape=(20,)), MLP(output_shape=(5,)), k=3), weight=0.1)
    Traceback (most recent call last):
    ...
    aejax.errors.IncompatibleError: sparse and k_sparse cannot be combined: k_sparse already fixes how many entries ...
    """
    if not isinstance(autoencoder, Autoencoder):
        raise TypeError(
            f"{part.name} expects an autoencoder, such as undercomplete(encoder, decoder), got {autoencoder!r}"
        )
    if part.needs_posterior and autoencoder.variational is None:
        raise TypeError(
            f"{part.name} expects an autoencoder with a posterior, such as variational(encoder, decoder), got one "
            "without a posterior"
        )
    if part.once and part.name in part_names(autoencoder.parts):
        raise ValueError(f"{part.name} can be applied only once, and this autoencoder has it already")
    for other in autoencoder.parts:
        if reason := dict(part.excludes).get(other.name) or dict(other.excludes).get(part.name):
            raise IncompatibleError(part.name, other.name, reason)
    if part.replaces_loss and (lost := [other.name for other in autoencoder.parts if other.lives_in_loss]):
        raise ValueError(
            f"{part.name} replaces the loss, so the change that {lost[0]} makes to it would be lost: wrap in the other "
            f"order, {lost[0]}({part.name}(...))"
        )
