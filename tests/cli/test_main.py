"""The console program: verbs by name, quick help, one line for an unknown verb, completion in a shell."""

import importlib
import os
import shutil
import subprocess
import sys

import pytest

import aejax
from aejax.cli import main as console
from aejax.cli.verbs import STUDIES, VERBS

COMMANDS = {**VERBS, **{f"study {name}": study for name, study in STUDIES.items()}}
HEAVY = {"jax", "jaxlib", "flax", "optax", "orbax", "numpy", "matplotlib", "sklearn", "tensorflow_datasets", "scipy"}


@pytest.fixture
def call(monkeypatch, capsys):
    """`call("train", "--help")`: exit code, stdout and stderr of `aejax train --help`."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["/usr/bin/aejax", *words])
        monkeypatch.setattr(sys, "stdout", sys.stdout)  # which `command_line.run` replaces, as it adds to these flags
        monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"])
        code = 0
        try:
            console.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_without_a_verb_all_are_listed(call, words):
    code, output, errors = call(*words)
    assert (code, errors) == (0, "")
    for name, verb in VERBS.items():
        assert f"  {name}" in output
        assert verb.summary in output


def test_the_version(call):
    assert call("--version") == (0, f"aejax {aejax.__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("compos",), "aejax: error: there is no verb 'compos'; did you mean compose or compress?\n"),
        (("--seed", "3"), "aejax: error: there is no verb '--seed'; the verbs are "),
        (("stduy",), "aejax: error: there is no verb 'stduy'; did you mean study?\n"),
        (("study", "jacobien"), "aejax: error: there is no study 'jacobien'; did you mean jacobian?\n"),
    ],
)
def test_an_unknown_name_is_one_line(call, words, line):
    code, output, errors = call(*words)
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert errors.startswith(line)


def test_errors_begin_with_the_verb(call, tmp_path):
    code, _, errors = call("compose", str(tmp_path), "music", "--count", "0")
    assert (code, errors) == (2, "aejax compose: error: --count: must be between 1 and 300, got 0\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_verb_shows_how_it_is_called(call, command):
    code, output, errors = call(*command.split(), "--help")
    assert (code, errors) == (0, "")
    assert output.startswith(f"usage: aejax {command} ")
    assert f"\n  aejax {command}" in output
    assert ".py" not in output.partition("options")[0].replace(".npy", "")


@pytest.mark.slow_after_first
@pytest.mark.parametrize("words", [["--help"], *([*command.split(), "--help"] for command in COMMANDS)])
def test_help_loads_nothing_slow(words):
    program = (
        "import runpy, sys\n"
        f"sys.argv = ['aejax', *{words!r}]\n"
        "try:\n    runpy.run_module('aejax', run_name='__main__')\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "print(*{name.split('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not HEAVY & loaded
    assert words != ["--help"] or not {"tyro", "pydantic", "rich"} & loaded


def test_every_verb_has_what_the_program_and_completion_use():
    for verb in COMMANDS.values():
        module = importlib.import_module(verb.module)
        assert module.DESCRIPTION.strip()
        assert module.Options.__dataclass_fields__
        assert callable(module.main)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_verbs_and_options(call, tmp_path):
    code, _, errors = call("--tyro-write-completion", "bash", str(tmp_path / "aejax"))
    assert (code, errors) == (0, "")
    lines = [
        f"source {tmp_path / 'aejax'}",
        'complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMPREPLY=()',
        '_tyro_aejax aejax "${COMP_WORDS[$COMP_CWORD]}" ""; echo "${COMPREPLY[@]}"; }',
        "complete_words aejax compo",
        "complete_words aejax compose --cou",
        "complete_words aejax train --free-b",
        "complete_words aejax study one",
        "complete_words aejax study one-class --resamples",
    ]
    done = subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines() == ["compose", "--count", "--free-bits", "one-class", "--resamples"]


@pytest.mark.parametrize("words", [(), ("--version",), ("study",)])
def test_a_reader_that_goes_gets_no_traceback(words):
    """As of `aejax --help | head -1`."""
    command = [sys.executable, "-m", "aejax", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == ("", 0)
