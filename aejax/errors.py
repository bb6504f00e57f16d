"""The error that says: what was given to us is wrong, and here is what would be right."""


class UserError(ValueError):
    """A mistake in data, configuration or a path, in one line that names the culprit.

    Scripts print its message and exit with code 2; every other exception is a defect of ours and keeps its traceback.
    """
