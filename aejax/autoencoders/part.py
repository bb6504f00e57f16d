"""The traits of a constructor, as data: its name, the terms of its loss, and what it cannot be combined with."""

from collections.abc import Iterable
from typing import NamedTuple

from jax.typing import ArrayLike

from aejax.schedules import Schedule


class Term(NamedTuple):
    """A term of a loss, with its title and unit in tables and figures."""

    name: str  # its key in the metrics
    title: str
    unit: str
    note: str = ""  # a remark for readers of its value
    weight: ArrayLike | Schedule | None = None  # its weight in the loss; None: a metric that is not a summand


class Part(NamedTuple):
    """A constructor, or an argument of a constructor, with its traits; only tuples, so that it can be hashed."""

    name: str  # of the constructor
    terms: tuple[Term, ...] = ()  # the terms that it adds to the metrics; the first one of a penalty is the penalty
    once: bool = True  # whether it can be applied only once: a second time would count the same term twice
    excludes: tuple[tuple[str, str], ...] = ()  # names of parts that it cannot be combined with, each with the reason
    needs_posterior: bool = False  # whether it can be applied to variational autoencoders only
    coupled_through: str | None = None  # what it computes from all examples of the global batch together, if anything
    lives_in_loss: bool = False  # whether it changes only the loss, so that it is lost if the loss is replaced
    replaces_loss: bool = False
    accepts_missing: bool = False  # whether NaN in an example is a missing value
    is_dictionary: bool = False  # whether its codes are sparse, so that units and what they explain are measured
    matches_prior: bool = False  # whether it moves codes towards a prior, so that samples of the prior can be decoded


def part_names(parts: Iterable[Part]) -> tuple[str, ...]:
    """Returns the names of the constructors and arguments that made an autoencoder, innermost first.

    >>> part_names((Part("undercomplete"), Part("sparse")))
    ('undercomplete', 'sparse')
    """
    return tuple(part.name for part in parts)


def loss_terms(parts: Iterable[Part]) -> dict[str, Term]:
    """Returns every term in the metrics of an autoencoder's loss, by name.

    >>> from aejax.autoencoders import sparse, undercomplete
    >>> from aejax.networks import MLP
    >>> autoencoder = sparse(undercomplete(MLP((2,)), MLP((5,))), weight=0.1)
    >>> {name: term.unit for name, term in loss_terms(autoencoder.parts).items() if term.weight}
    {'reconstruction': '(unit of data)² per example', 'l1_penalty': 'no unit'}
    """
    terms: dict[str, Term] = {}
    for part in parts:
        if part.replaces_loss:
            terms = {}
        terms |= {term.name: term for term in part.terms}
    return terms
