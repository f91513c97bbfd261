"""Tables on terminals too narrow for them: a block of lines per row, as psql's expanded display."""

from collections.abc import Collection, Sequence

from rich.console import Console
from rich.table import Table

LEAST_PROSE = 20
"""Characters to a line below which prose in a column is no pleasure to read."""
_LEAST_BROKEN = 6
"""Characters to a line of a column that makes room for others."""
_FRAME = 3
"""Characters that a column's border and padding take."""


def fits(rows: Sequence[Sequence[str]], width: int, whole: Collection[int] = ()) -> bool:
    """Whether a table can be drawn without breaking a word, or cutting prose to ribbons.

    Parameters
    ----------
    rows
        Cells by row, the headings first.
    width
        Of the terminal, in characters.
    whole
        Columns that are never broken; where there are any, the others may be broken anywhere.
    """
    columns = enumerate(zip(*rows, strict=True))
    least = (
        max(map(len, column))
        if number in whole
        else _LEAST_BROKEN
        if whole
        else _least_width(column)
        for number, column in columns
    )
    return sum(least) + _FRAME * len(rows[0]) + 1 <= width


def fits_compact(rows: Sequence[Sequence[str]], width: int) -> bool:
    """Whether a table without frames, a blank between columns, shows every cell on one line."""
    widest = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return sum(widest) + len(widest) - 1 <= width


def is_code(heading: str, column: Sequence[str]) -> bool:
    """Whether a column holds ids, dates or numbers, which are no use broken into lines."""
    is_one_word = not any(" " in cell for cell in column)
    return is_one_word and (" " not in heading or len(heading) <= max(map(len, column)))


def _least_width(column: Sequence[str]) -> int:
    words = max((len(word) for cell in column for word in cell.split()), default=0)
    return max(words, min(max(map(len, column[1:]), default=0), LEAST_PROSE))


def print_records(
    console: Console,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str | None = None,
) -> None:
    """Print each row as a block: heading and value side by side, empty values left out."""
    if title:
        console.print(title, style="bold")
    for values in rows:
        block = Table.grid(padding=(0, 2, 0, 0))
        block.add_column(no_wrap=True)
        block.add_column(overflow="fold")
        for heading, value in zip(headings, values, strict=True):
            if value:
                block.add_row(heading, value)
        console.print(block)
        console.print()
