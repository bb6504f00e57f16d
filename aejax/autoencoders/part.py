"""What is known of a constructor before it runs: its name, its terms, and what it does not go with, as data."""

from collections.abc import Iterable
from typing import NamedTuple

from jax.typing import ArrayLike

from aejax.schedules import Schedule


class Term(NamedTuple):
    """A term of a loss, as tables and figures name it."""

    name: str  # among the metrics
    title: str
    unit: str
    note: str = ""  # what a reader of its value has to know
    weight: ArrayLike | Schedule | None = None  # with which the loss has it as a summand; None: it is reported only


class Part(NamedTuple):
    """A constructor, or an argument of one, and its traits; all tuples, so that an autoencoder can be hashed."""

    name: str  # of the constructor
    terms: tuple[Term, ...] = ()  # that it adds to the metrics; of a penalty its own comes first
    once: bool = True  # whether a second one would count the same term twice
    excludes: tuple[tuple[str, str], ...] = ()  # names of parts that it contradicts, each with the reason
    needs_posterior: bool = False  # whether it goes with variational autoencoders only
    coupled_through: str | None = None  # what it computes from all examples of the global batch together, if anything
    lives_in_loss: bool = False  # whether it changes the loss alone, so that it is lost where that is replaced
    replaces_loss: bool = False
    matches_prior: bool = False  # whether it draws codes towards a prior, so that codes of that may be decoded


def part_names(parts: Iterable[Part]) -> tuple[str, ...]:
    """Returns the names of the constructors and arguments that made an autoencoder, from the inside out.

    >>> part_names((Part("undercomplete"), Part("sparse")))
    ('undercomplete', 'sparse')
    """
    return tuple(part.name for part in parts)


def loss_terms(parts: Iterable[Part]) -> dict[str, Term]:
    """Returns every term that the loss of an autoencoder returns among its metrics, by name.

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
