"""Shell completion scripts: tyro builds one parser of all verbs, studies and their options."""

import dataclasses
import functools
import importlib
import operator
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import tyro

from aejax.cli.verbs import STUDIES, VERBS, Verb


def complete(program: str, words: Sequence[str]) -> None:
    """Print or write a completion script, as `--tyro-print-completion SHELL` or `--tyro-write-completion SHELL FILE`.

    Args:
      program: the name of the program.
      words: the words of the command line, beginning with one of these options.
    """
    study = dataclasses.make_dataclass("study", [("study", _any_of(STUDIES))])
    named = tyro.conf.subcommand("study", description="train many autoencoders, and compare them")
    studies: Any = Annotated[study, tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes, named]
    tyro.cli(_any_of(VERBS) | studies, args=list(words), prog=program)


def _any_of(verbs: Mapping[str, Verb]) -> Any:
    """Returns the union of the verbs' options, each a subcommand of the verb's name."""
    return functools.reduce(operator.or_, (_as_subcommand(name, verb) for name, verb in verbs.items()))


def _as_subcommand(name: str, verb: Verb) -> Any:
    options: Any = importlib.import_module(verb.module).Options
    return Annotated[options, tyro.conf.OmitArgPrefixes, tyro.conf.subcommand(name, description=verb.summary)]
