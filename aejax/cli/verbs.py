"""The verbs of the console program: each one a module, imported when it is named."""

from typing import NamedTuple


class Verb(NamedTuple):
    """A command: the module that holds its DESCRIPTION, its Options and its `main(arguments)`, and what it does."""

    module: str
    summary: str


VERBS = {
    "compose": Verb("aejax.cli.compose", "compose with a run on chorales: MIDI files and piano rolls"),
    "export": Verb("aejax.cli.export", "write a run's functions as StableHLO, for programs without aejax"),
    "prepare": Verb("aejax.cli.prepare", "download a data set of TensorFlow Datasets, once"),
}
STUDIES: dict[str, Verb] = {}
