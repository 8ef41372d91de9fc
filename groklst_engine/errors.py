"""The errors a user can meet. Every message says what is wrong, where, and what to do."""

from __future__ import annotations


class GroklstError(Exception):
    """Root of all errors with a sentence for the user; anything else is a bug."""

    exit_code = 1


class InputError(GroklstError):
    """A raster, a band, a unit or an option that cannot be used as given."""


class OutputError(GroklstError):
    """The result cannot be written where it was asked for."""


class ModelError(GroklstError):
    """An unknown method or network, or a weights file that cannot be trusted."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, PyTorch or a GPU ran out of memory."""
    # torch's own class is recognised by name, because torch may not be imported; its CPU allocator has none.
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or "can't allocate memory" in str(error)


class Cancelled(GroklstError):  # noqa: N818 - a user's wish, not a failure
    """The user asked to stop."""

    exit_code = 3

    def __init__(self, message: str = "Cancelled; nothing was written.") -> None:
        super().__init__(message)
