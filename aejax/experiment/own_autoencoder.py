"""The user's own autoencoder: a Python file with `build(facts) -> Autoencoder`, and its copy in a run folder."""

from dataclasses import replace
from pathlib import Path

from aejax.autoencoders import Autoencoder
from aejax.errors import ArgumentError, UserError, knob_name
from aejax.experiment.configuration import Experiment
from aejax.experiment.facts import Facts
from aejax.host.files import read_text, write_text
from aejax.host.python_file import MAX_BYTES, digest_of, run_python_file

FILE, DIGEST = "autoencoder.py", "autoencoder.sha256"  # in a run folder


def build_own(path: Path, facts: Facts) -> Autoencoder:
    """Runs a Python file, with all rights of this process, and returns the autoencoder that its `build` returns.

    Args:
      path: the file, which runs again at every call.
      facts: the facts of the training examples, the argument of `build`.

    Raises:
      UserError: the file cannot be read, it defines no function `build`, or `build` does not return an autoencoder.
      Exception: any exception that the file raises.
    """
    build = getattr(run_python_file(path), "build", None)
    if not callable(build):
        raise UserError(f"{path}: expected a function build(facts) that returns an autoencoder, but it defines none")
    autoencoder = build(facts)
    if not isinstance(autoencoder, Autoencoder):
        raise UserError(
            f"{path}: build must return an aejax.autoencoders.Autoencoder, but it returned an object of type "
            f"{type(autoencoder).__name__}"
        )
    return autoencoder


def copy_own(path: Path, folder: Path) -> None:
    """Copies the file of the user's own autoencoder into a run folder, with its SHA-256."""
    source = read_text(path, limit=MAX_BYTES)
    write_text(folder / FILE, source)
    write_text(folder / DIGEST, digest_of(source) + "\n")


def with_own_copy(experiment: Experiment, folder: Path, *, trust_code: bool) -> Experiment:
    """Returns a run's experiment, with the path of the copy of the user's own autoencoder if it has one.

    Args:
      experiment: the run's experiment.
      folder: the run folder.
      trust_code: whether the copy may run.

    Raises:
      UserError: the copy may not run, or it was changed since the run began.
    """
    if experiment.model.autoencoder is None:
        return experiment
    file = folder / FILE
    if not trust_code:
        raise ArgumentError(
            "trust_code",
            f"expected, since the autoencoder of {folder} is a program, {file}, that runs with your rights when the "
            f"run is opened: read it, and set {knob_name('trust_code')} only if you trust it",
        )
    if digest_of(read_text(file, limit=MAX_BYTES)) != read_text(folder / DIGEST, limit=MAX_BYTES).strip():
        raise UserError(f"{file}: was changed since the run began: its SHA-256 differs from {DIGEST}; it was not run")
    return replace(experiment, model=replace(experiment.model, autoencoder=str(file)))
