"""Files that appear whole or not at all, whatever happens while they are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """The ``.part`` file to write in place of ``path``; it takes the name when the block ends well, else it vanishes.

    Raises:
        OSError: The file cannot take its name.
    """
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file.

    Raises:
        OSError: It cannot be written.
    """
    with whole_file(path) as part:
        part.write_text(text, "utf-8")
