"""The console program `aejax VERB ...`. A verb's module is imported after the verb is read, so that help is quick."""

import importlib
import sys
from collections.abc import Mapping, Sequence

from aejax import __version__
from aejax.cli.verbs import STUDIES, VERBS, Verb
from aejax.host.exits import print_error
from aejax.host.streams import PipeSafeStream
from aejax.host.suggestions import unknown

_PROGRAM, _STUDY = "aejax", "study"
_HELP = f"""usage: {_PROGRAM} VERB ...

Train and use autoencoders in JAX.

{{verbs}}

{_PROGRAM} VERB --help shows the options of a verb, {_PROGRAM} --version the version, and
{_PROGRAM} --tyro-write-completion bash FILE writes a completion script for a shell (bash, zsh, tcsh)."""
_HELP_OF_STUDIES = f"""usage: {_PROGRAM} {_STUDY} STUDY ...

Train many autoencoders, and compare them.

{{verbs}}

{_PROGRAM} {_STUDY} STUDY --help shows the options of a study."""


def main() -> None:
    """Run the verb that the process's first argument names; after `study`, the study that the second one names."""
    words = sys.argv[1:]
    sys.argv[0] = _PROGRAM  # error messages begin with it
    if words[:1] == ["--version"]:
        _say(f"{_PROGRAM} {__version__}")
    elif words and words[0].startswith("--tyro-"):
        from aejax.cli.completion import complete

        complete(_PROGRAM, words)
    elif words[:1] == [_STUDY]:
        _run_one(STUDIES, words[1:], f"{_PROGRAM} {_STUDY}", _HELP_OF_STUDIES, ("study", "studies"))
    else:
        studies = Verb("aejax.cli.main", f"train many autoencoders, and compare them: {', '.join(STUDIES)}")
        _run_one({**VERBS, _STUDY: studies}, words, _PROGRAM, _HELP, ("verb", "verbs"))


def run_script(*names: str) -> None:
    """Run a verb, or `study` and a study, with the arguments of this process, which is a script.

    Args:
      *names: the verb, or `study` and the name of the study.
    """
    verb = STUDIES[names[1]] if names[0] == _STUDY else VERBS[names[0]]
    _run(verb, sys.argv[1:])


def _run_one(
    verbs: Mapping[str, Verb], words: Sequence[str], program: str, text: str, kind_and_kinds: tuple[str, str]
) -> None:
    """Run the verb that the first word names; print the list of verbs if there is no word."""
    if not words or words[0] in ("-h", "--help"):
        _say(text.format(verbs=_list(verbs)))
        return
    name, *arguments = words
    if name not in verbs:
        kind, kinds = kind_and_kinds
        print_error(_train_instead(name) or unknown(kind, name, verbs, kinds=kinds))
        sys.exit(2)
    sys.argv[0] = f"{program} {name}"
    _run(verbs[name], arguments)


def _say(text: str) -> None:
    print(text, file=PipeSafeStream(sys.stdout), flush=True)


def _train_instead(name: str) -> str | None:
    """Returns a message for the name of a preset of `aejax train` that stands in place of a verb; None for others."""
    from aejax.experiment.presets import PRESETS

    return f"{name!r} is a preset, not a verb; train it with: {_PROGRAM} train {name}" if name in PRESETS else None


def _run(verb: Verb, arguments: Sequence[str]) -> None:
    from aejax.cli import command_line

    command_line.run(lambda: importlib.import_module(verb.module).main(arguments))


def _list(verbs: Mapping[str, Verb]) -> str:
    width = max(map(len, verbs)) + 2
    return "\n".join(f"  {name:{width}}{verb.summary}" for name, verb in verbs.items())
