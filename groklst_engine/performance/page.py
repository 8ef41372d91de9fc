"""Measurements as tables: Markdown for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: Of a row.
        head: For people.
        digits: Decimals of its numbers; None for texts and whole numbers.
    """

    key: str
    head: str
    digits: int | None = None

    def cell(self, row: Mapping[str, Any]) -> str:
        """A row's value as text; a dash where there is none."""
        value = row.get(self.key)
        if value is None:
            return "–"
        return str(value) if self.digits is None else f"{value:.{self.digits}f}"


@dataclass(frozen=True)
class Table:
    """What is common to all tables of a kind.

    Attributes:
        title: For people.
        note: What the columns mean.
        columns: Left out where no row has a value.
    """

    title: str
    note: str
    columns: tuple[Column, ...]

    def markdown(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """The rows as a Markdown table."""
        shown = [column for column in self.columns if any(row.get(column.key) is not None for row in rows)]
        lines = [[column.head for column in shown], ["---"] * len(shown)]
        lines += [[column.cell(row) for column in shown] for row in rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def line(self, row: Mapping[str, Any]) -> str:
        """A row in a line, for a log."""
        return ", ".join(
            f"{column.head} {column.cell(row)}" for column in self.columns if row.get(column.key) is not None
        )

    def page(self, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, str], command: str) -> str:
        """Title, machine, command, note and table."""
        said = "\n".join(f"* {head}: {text}" for head, text in facts.items())
        return f"# {self.title}\n\n{said}\n\n```sh\n{command}\n```\n\n{self.note}\n\n{self.markdown(rows)}\n"
