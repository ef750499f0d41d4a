"""Quotation marks of CSV files: one that is never closed, or closes some lines later, takes other rows into its value.

The reader of CSV forgives both, without a word. So a file is looked through before it is read (`misplaced_quote`), and
every value of several lines is looked at for the rows that it may have swallowed (`implausible`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_LINE_BREAKS = 1000
"""In one value; a description has fewer."""
MAX_QUOTED = 8 << 20
"""Bytes or characters of one row."""

_BREAK = re.compile(r"\r\n|\r|\n")


class QuoteScanner:
    """Looks at a text, piece by piece, for a quoted value of several lines that does not end where a value ends."""

    def __init__(self, delimiter: str) -> None:
        self.line = 1
        ends = rf"{re.escape(delimiter)}\r\n"
        # Texts without quotes, values of one line in quotes, and quotes inside a value that does not begin with one.
        self._boring = re.compile(rf'(?:[^"]++|(?<=[{ends}])"(?:[^"\r\n]++|"")*+"|(?<![{ends}])")*+')
        self._quoted = re.compile(rf'"(?:[^"]++|"")*+"(?=[{ends}])')
        self._closed = re.compile(r'"(?:[^"]++|"")*+"')
        self._kept = "\n"
        """What was not looked at yet, behind the end of a line: there, a value begins."""

    def feed(self, text: str) -> str | None:
        """Look at the next piece; return what is wrong, with its line."""
        whole = self._kept + text
        end = (whole.rfind("\n", 1) + 1) or (whole.rfind("\r", 1, -1) + 1) or 1  # the last \r may be half a \r\n
        data, rest = whole[:end], whole[end:]
        place, found = self._look(data) if '"' in data else (len(data), None)
        if found:
            return found
        self.line += line_breaks(data, 1, place)
        self._kept = (data[place - 1 :] if place < len(data) else data[-1]) + rest
        return self._too_long() if len(self._kept) > MAX_QUOTED else None

    def end(self) -> str | None:
        """Return what is wrong at the end of the text."""
        return self.feed("\n") or (self._never_closed() if self._kept[1:].strip() else None)

    def _look(self, data: str) -> tuple[int, str | None]:
        """Return up to where all is fine, and what is wrong there; nothing, where the value goes on."""
        place = 1
        while True:
            found = self._boring.match(data, place)
            place = found.end() if found else place
            if place == len(data):
                return place, None
            if whole := self._quoted.match(data, place):
                place = whole.end()
            elif closed := self._closed.match(data, place):
                return place, self._misplaced(data, place, closed[0])
            else:
                return place, None

    def _misplaced(self, data: str, place: int, value: str) -> str:
        line = self.line + line_breaks(data, 1, place)
        lines = line_breaks(value) + 1
        return (
            f"line {line}: a quote opens a value that goes on for {lines} lines and ends in the middle of another "
            "value; there is a quote too many"
        )

    def _too_long(self) -> str:
        return f"line {self.line}: a row is longer than {MAX_QUOTED >> 20} MiB, or a quote is never closed"

    def _never_closed(self) -> str:
        return f"line {self.line}: a quote is never closed; the rows behind it would be taken for its value"


def misplaced_quote(pieces: Iterable[str], delimiter: str) -> str | None:
    """Return what is wrong with the quotes of a CSV, with its line; None where nothing is."""
    scanner = QuoteScanner(delimiter)
    for piece in pieces:
        if found := scanner.feed(piece):
            return found
    return scanner.end()


def implausible(value: str, column: int, columns: int, delimiter: str, first: str) -> str | None:
    """Return why a value of several lines cannot be one; `column` of `columns` is its place, `first` the row's first.

    Rows that a value has swallowed show in their delimiters: as many as a row has on every line but the first and last.
    Prose puts a blank behind a comma; where it does, the swallowed row has to begin as this one does, with a number.
    """
    lines = _BREAK.split(value)
    if len(lines) - 1 > MAX_LINE_BREAKS:
        return f"a value has more than {MAX_LINE_BREAKS:,} line breaks; a quote may be one too many"
    counts = [line.count(delimiter) for line in lines]
    expected = [columns - 1 - column, *[columns - 1] * (len(lines) - 2), column]
    if columns < 2 or len(lines) < 2 or counts != expected or not _like_rows(lines[1:], delimiter, first):
        return None
    return "a value looks as if it had swallowed the rows behind it; a quote may be one too many"


def line_breaks(text: str, begin: int = 0, end: int | None = None) -> int:
    """Return how many lines end in a text, or in a part of it."""
    single = text.count("\n", begin, end) + text.count("\r", begin, end)
    return single - text.count("\r\n", begin, end)


def _like_rows(lines: list[str], delimiter: str, first: str) -> bool:
    begins = lines[0].partition(delimiter)[0]
    prose = any(f"{delimiter} " in line for line in lines)
    return (first.isdigit() and begins.isdigit()) or not prose
