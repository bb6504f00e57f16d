"""What goes together: the check that every wrapper makes before it wraps an autoencoder, by the traits of its parts."""

from aejax.autoencoders.part import Part, part_names
from aejax.autoencoders.record import Autoencoder
from aejax.errors import IncompatibleError


def check_composition(autoencoder: object, part: Part) -> None:
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
            f"{part.name} wraps an autoencoder, such as undercomplete(encoder, decoder), got {autoencoder!r}"
        )
    if part.needs_posterior and autoencoder.variational is None:
        raise TypeError(f"{part.name} wraps a variational autoencoder: the one given has no posterior")
    if part.once and part.name in part_names(autoencoder.parts):
        raise ValueError(f"{part.name} is part of this autoencoder already")
    for other in autoencoder.parts:
        if reason := dict(part.excludes).get(other.name) or dict(other.excludes).get(part.name):
            raise IncompatibleError(part.name, other.name, reason)
    if part.replaces_loss and (lost := [other.name for other in autoencoder.parts if other.lives_in_loss]):
        raise ValueError(
            f"{part.name} puts its bound in the place of the loss, and what {lost[0]} adds would be lost: "
            f"wrap the other way round, {lost[0]}({part.name}(...))"
        )
