"""The one exception a user is meant to read."""


class OvertopError(Exception):
    """A mistake in the input, the configuration or a file, told in one line.

    The message names the file or key, says what is wrong and how to mend it. Rule scripts print it
    without a traceback; anything else that is raised is a bug and keeps its traceback.
    """
