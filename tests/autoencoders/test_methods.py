"""The table of methods in the docstring of `aejax.autoencoders` is whole, and what it names exists."""

import importlib
import inspect
import re
import typing

import pytest

from aejax import autoencoders, corruption, divergences, likelihoods, losses
from aejax.autoencoders import Autoencoder
from aejax.likelihoods import Likelihood

ROWS = [line.split(" | ") for line in (autoencoders.__doc__ or "").splitlines() if line.startswith("| ")][2:]
NOT_METHODS = {"penalized"}  # from which wrappers are made


def functions_of(row: list[str]) -> list[str]:
    """The names that a row has in backquotes, each with the module of the first where it has none of its own."""
    names = [name.partition("(")[0] for name in re.findall(r"`([a-z0-9_.]+(?:\([^`]*\))?)`", " ".join(row[2:]))]
    module = names[0].rpartition(".")[0] if "." in names[0] else "autoencoders"
    return [name if "." in name else f"{module}.{name}" for name in names]


NAMED = [name for row in ROWS for name in functions_of(row)]


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_exists(name):
    module, _, function = name.rpartition(".")
    found = getattr(importlib.import_module(f"aejax.{module}"), function, None)
    assert callable(found) or importlib.import_module(f"aejax.{name}")


def returns(function, kind) -> bool:
    return inspect.isfunction(function) and typing.get_type_hints(function).get("return") is kind


def first_arguments(function) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)[:2] if inspect.isfunction(function) else ()


METHODS = [
    *(f"autoencoders.{name}" for name in autoencoders.__all__ if returns(getattr(autoencoders, name), Autoencoder)),
    *(f"likelihoods.{name}" for name in likelihoods.__all__ if returns(getattr(likelihoods, name), Likelihood)),
    *(f"losses.{name}" for name in dir(losses) if first_arguments(getattr(losses, name)) == ("x", "reconstruction")),
    *(
        f"corruption.{name}"
        for name in dir(corruption)
        if first_arguments(getattr(corruption, name)) == ("key", "x") and name[0] != "_"
    ),
    *(f"divergences.{name}" for name in dir(divergences) if name.endswith("_kl")),
]


def test_methods_are_found():
    assert len(METHODS) > 35


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_in_the_table(name):
    assert name in NAMED or name.rpartition(".")[2] in NOT_METHODS
