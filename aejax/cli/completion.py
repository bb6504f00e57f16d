"""Completion scripts for shells: all verbs and their options, of which tyro makes one parser."""

import functools
import importlib
import operator
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import tyro

from aejax.cli.verbs import Verb


def complete(program: str, verbs: Mapping[str, Verb], words: Sequence[str]) -> None:
    """Print or write a completion script, as `--tyro-print-completion SHELL` or `--tyro-write-completion SHELL FILE`.

    Args:
      program: what is completed.
      verbs: its verbs by name.
      words: those of the command line, from the option on.
    """
    kinds = [_as_subcommand(name, verb) for name, verb in verbs.items()]
    tyro.cli(functools.reduce(operator.or_, kinds), args=list(words), prog=program)


def _as_subcommand(name: str, verb: Verb) -> Any:
    options: Any = importlib.import_module(verb.module).Options
    return Annotated[options, tyro.conf.OmitArgPrefixes, tyro.conf.subcommand(name, description=verb.summary)]
