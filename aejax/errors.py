"""Exceptions for mistakes of the user: each message says what was wrong and what is expected."""

import contextlib
from collections.abc import Iterator

_as_options = False  # how messages write knobs, for the whole process: one program reads them


def knob_name(setting: str) -> str:
    """Returns the name of a knob, with a value if one follows it, as the user of this program writes it.

    A function's argument in Python is an option of a command: messages of the library name both by this function.

    >>> f"use {knob_name('likelihood gaussian')}"
    'use likelihood gaussian'
    >>> with knobs_as_options():
    ...     f"use {knob_name('likelihood gaussian')} or a lower {knob_name('learning_rate')}"
    'use --likelihood gaussian or a lower --learning-rate'
    """
    name, *value = setting.split(" ", 1)
    return " ".join([f"--{name.replace('_', '-')}", *value]) if _as_options else setting


@contextlib.contextmanager
def knobs_as_options() -> Iterator[None]:
    """Context manager in which messages write knobs as options of a command."""
    global _as_options
    before, _as_options = _as_options, True
    try:
        yield
    finally:
        _as_options = before


class UserError(ValueError):
    """A mistake in data, configuration or a path; the message is one line that names the file, column or option.

    Scripts print the message and exit with code 2. Any other exception is a bug and keeps its traceback.
    """


class ArgumentError(UserError):
    """An argument of a library function with a value that it cannot have; a command shows it as its option.

    >>> error = ArgumentError("geodesic_steps", "must be at least 1, got 0")
    >>> print(error)
    geodesic_steps: must be at least 1, got 0
    >>> with knobs_as_options():
    ...     print(error)
    --geodesic-steps: must be at least 1, got 0
    """

    def __init__(self, name: str, complaint: str) -> None:
        """The argument's name in Python, and what is wrong with its value."""
        super().__init__(name, complaint)  # its arguments, so that it can be pickled
        self.name = name
        self.complaint = complaint

    def __str__(self) -> str:
        return f"{knob_name(self.name)}: {self.complaint}"


class ConflictError(UserError):
    """Two settings of a configuration that cannot be combined; a command shows them as its options.

    >>> error = ConflictError("sparse_weight", "family k_sparse", "k_sparse fixes how many entries are active")
    >>> print(error)
    sparse_weight and family k_sparse cannot be combined: k_sparse fixes how many entries are active
    >>> with knobs_as_options():
    ...     print(error)
    --sparse-weight and --family k_sparse cannot be combined: k_sparse fixes how many entries are active
    """

    def __init__(self, setting: str, other: str, reason: str) -> None:
        """Stores two names of settings, each with its value where it is a choice, and a reason without the names."""
        super().__init__(setting, other, reason)  # all arguments, so that the exception can be pickled
        self.settings = (setting, other)
        self.reason = reason

    def __str__(self) -> str:
        return f"{' and '.join(map(knob_name, self.settings))} cannot be combined: {self.reason}"


class IncompatibleError(ValueError):
    """Two constructors or arguments of an autoencoder that cannot be combined: their names, and the reason.

    >>> error = IncompatibleError("sparse", "k_sparse", "k_sparse fixes how many entries of a code are active")
    >>> print(error)
    sparse and k_sparse cannot be combined: k_sparse fixes how many entries of a code are active
    """

    def __init__(self, name: str, other: str, reason: str) -> None:
        """Stores the names of the two constructors or arguments, and a reason that does not contain the names."""
        super().__init__(name, other, reason)  # all arguments, so that the exception can be pickled
        self.names = (name, other)
        self.reason = reason

    def __str__(self) -> str:
        return f"{' and '.join(self.names)} cannot be combined: {self.reason}"


class CoupledError(UserError):
    """A loss that is coupled through the batch, used with accumulation over microbatches.

    >>> print(CoupledError("sparse_kl", "the mean activation"))
    accumulation_steps: sparse_kl computes the mean activation over the whole batch, so its loss is no sum over ...
    """

    def __init__(self, name: str, quantity: str) -> None:
        """Stores the name of the part of the autoencoder, and the quantity that it computes from the whole batch."""
        super().__init__(name, quantity)  # its arguments, so that it can be pickled
        self.name = name
        self.quantity = quantity

    def __str__(self) -> str:
        return f"accumulation_steps: {self.describe(self.name)}"

    def describe(self, name: str) -> str:
        """Returns the complaint with another name for the part, such as a knob of a configuration."""
        return (
            f"{name} computes {self.quantity} over the whole batch, so its loss is no sum over microbatches; use 1, "
            "and smaller batches if memory is short"
        )
