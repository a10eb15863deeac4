"""What a person can be told: every error that Lithoscope raises on purpose.

A message is one line that says what is wrong, with the value that was met, and what to do about it. Each error is also
the builtin it resembles, so that callers who know only Python catch the right thing. Anything else that escapes is a bug.
"""

from collections.abc import Mapping


class LithoscopeError(Exception):
    """A problem that the person can mend; its text is one line fit for the command line and the docks."""


class InputError(LithoscopeError, ValueError):
    """A value, file or combination of them that cannot be used as it is."""


class UnreadableError(InputError):
    """A file that is broken, empty, or of a kind that no reader knows."""


class ChoiceError(UnreadableError):
    """A file of several volumes, of which one must be named. `choices`: by "dataset", "channel" or "time", what to name it and in words."""

    def __init__(self, message: str, choices: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__(message)
        self.choices = choices


class MissingError(LithoscopeError, FileNotFoundError):
    """A scan, result, file or class that is not there."""


class TakenError(LithoscopeError, FileExistsError):
    """A name or place that is in use already; nothing is overwritten unasked."""


class LockedError(LithoscopeError, PermissionError):
    """Something that another window or process is writing to."""


class NewerSchemaError(LithoscopeError, ValueError):
    """Data written by a newer Lithoscope than this one."""


class StorageError(LithoscopeError, OSError):
    """A disk that is full, not writable or gone."""


class NotFittedError(LithoscopeError, ValueError, AttributeError):
    """A segmenter that was asked for an answer before `fit`."""


class ResourceError(LithoscopeError, MemoryError):
    """Too little memory or disk for the work that was asked for, found before it began."""
