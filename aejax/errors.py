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
        return self.describe(*self.names)

    def describe(self, name: str, other: str) -> str:
        """Returns the message with other names for the two, such as the options of a script."""
        return f"{name} and {other} cannot be combined: {self.reason}"
