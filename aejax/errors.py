"""Errors about what was given to us: what is wrong with it, and what would be right."""


class UserError(ValueError):
    """A mistake in data, configuration or a path, in one line that names the culprit.

    Scripts print its message and exit with code 2; every other exception is a defect of ours and keeps its traceback.
    """


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
