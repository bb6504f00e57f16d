"""Exceptions for mistakes of the user: each message says what was wrong and what is expected."""


class UserError(ValueError):
    """A mistake in data, configuration or a path; the message is one line that names the file, column or option.

    Scripts print the message and exit with code 2. Any other exception is a bug and keeps its traceback.
    """


class ArgumentError(UserError):
    """An argument of a library function with a value that it cannot have; a command shows it as its option.

    >>> error = ArgumentError("geodesic_steps", "must be at least 1, got 0")
    >>> print(error)
    geodesic_steps: must be at least 1, got 0
    >>> print(error.as_option())
    --geodesic-steps: must be at least 1, got 0
    """

    def __init__(self, name: str, complaint: str) -> None:
        """The argument's name in Python, and what is wrong with its value."""
        super().__init__(name, complaint)  # its arguments, so that it can be pickled
        self.name = name
        self.complaint = complaint

    def __str__(self) -> str:
        return f"{self.name}: {self.complaint}"

    def as_option(self) -> UserError:
        """The same complaint about the option of a command that has this name."""
        return UserError(f"--{self.name.replace('_', '-')}: {self.complaint}")


class ConflictError(UserError):
    """Two settings of a configuration that cannot be combined; a command shows them as its options.

    >>> error = ConflictError("sparse_weight", "family k_sparse", "k_sparse fixes how many entries are active")
    >>> print(error)
    sparse_weight and family k_sparse cannot be combined: k_sparse fixes how many entries are active
    >>> print(error.as_option())
    --sparse-weight and --family k_sparse cannot be combined: k_sparse fixes how many entries are active
    """

    def __init__(self, setting: str, other: str, reason: str) -> None:
        """Stores two names of settings, each with its value where it is a choice, and a reason without the names."""
        super().__init__(setting, other, reason)  # all arguments, so that the exception can be pickled
        self.settings = (setting, other)
        self.reason = reason

    def __str__(self) -> str:
        return f"{' and '.join(self.settings)} cannot be combined: {self.reason}"

    def as_option(self) -> UserError:
        """The same complaint about the options of a command that have these names."""
        names = [setting.split(" ") for setting in self.settings]
        options = [" ".join([f"--{name.replace('_', '-')}", *value]) for name, *value in names]
        return UserError(f"{' and '.join(options)} cannot be combined: {self.reason}")


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
