"""Errors about what was given to us: what is wrong with it, and what would be right."""


class UserError(ValueError):
    """A mistake in data, configuration or a path, in one line that names the culprit.

    Scripts print its message and exit with code 2; every other exception is a defect of ours and keeps its traceback.
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
    """Two parts of an autoencoder that contradict each other: their names, and the reason.

    >>> error = IncompatibleError("sparse", "k_sparse", "k_sparse fixes how many entries of a code are active")
    >>> print(error)
    sparse and k_sparse do not go together: k_sparse fixes how many entries of a code are active
    """

    def __init__(self, name: str, other: str, reason: str) -> None:
        """The constructors or arguments by their names, and a sentence that does not depend on them."""
        super().__init__(name, other, reason)  # its arguments, so that it can be pickled
        self.names = (name, other)
        self.reason = reason

    def __str__(self) -> str:
        return self.describe(*self.names)

    def describe(self, name: str, other: str) -> str:
        """The message with other names for the two, such as the options of a script."""
        return f"{name} and {other} do not go together: {self.reason}"
