"""The one error a person is meant to read: bad input, with what was expected, what came and what to do."""


class InputError(ValueError):
    """A file, message or option from outside is not what the step needs.

    The text names the input, what was expected, what came instead and the next step; the command line prints
    it as one line and exits with code 2.
    """
