"""What the commands share on the screen: tables, JSON and progress.

Results go to stdout, progress and remarks to stderr, so that a pipe holds results alone.
"""

import json
import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

import click
from rich.console import Console, JustifyMethod
from rich.table import Table

from calibration_pipeline.interfaces.cli.narrow import (
    fits,
    fits_compact,
    is_code,
    print_records,
)
from calibration_pipeline.interfaces.cli.progress import progress

__all__ = ["json_option", "print_json", "print_table", "progress", "say"]

# A pipe has no width to fit into; rich would otherwise fold every table at 80 columns.
_PIPE_WIDTH = 1000

_Command = TypeVar("_Command", bound=Callable[..., Any])


def json_option(command: _Command) -> _Command:
    """Give a command the flag ``--json``, passed on as the argument ``as_json``."""
    option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
    return option(command)


def say(text: str) -> None:
    """Print a remark on stderr, where it is out of a pipe's way."""
    click.echo(text, err=True)


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout: dates in ISO form, NumPy values plain, NaN as null."""
    click.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def output_width() -> int:
    """How many characters a line of stdout may have."""
    return Console(file=sys.stdout).width if sys.stdout.isatty() else _PIPE_WIDTH


def print_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    *,
    as_json: bool = False,
    title: str | None = None,
    empty: str = "Nothing to show.",
    whole: Collection[str] = (),
) -> None:
    """Print rows as a table, or all that they hold as JSON.

    Parameters
    ----------
    rows
        One mapping per row.
    columns
        Key of a row → heading, in the order of the columns. A key that a row lacks stays blank.
    as_json
        Print the rows as a JSON array instead, with every key and in full precision.
    title
        Stands above the table.
    empty
        Remark on stderr where there are no rows.
    whole
        Keys of columns that no narrow terminal breaks into lines: the others make room.

    Notes
    -----
    Where a terminal is too narrow for a table with frames, they go if that is enough to show every
    cell on one line. Else each row is a block of lines; where `whole` says which columns make room,
    only if even that isn't enough.
    """
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        say(empty)
        return
    # Ids and explanations are data: no markup, no emoji, no colours of rich's own.
    console = Console(
        file=sys.stdout, width=output_width(), markup=False, emoji=False, highlight=False
    )
    headings = list(columns.values())
    cells = [[_cell(row.get(key)) for key in columns] for row in rows]
    kept = [number for number, key in enumerate(columns) if key in whole]
    has_frames = len(headings) <= 2 or fits([headings, *cells], console.width, kept)
    if not has_frames and not fits_compact([headings, *cells], console.width):
        print_records(console, headings, cells, title=title)
        return
    table = Table(header_style="bold", **_frames(has_frames))
    if title:
        console.print(title, style="bold", soft_wrap=True)
    for number, (key, heading) in enumerate(columns.items()):
        is_numeric = all(_is_number(row.get(key)) or row.get(key) is None for row in rows)
        justify: JustifyMethod = "right" if is_numeric else "left"
        is_whole = key in whole or (
            len(headings) > 2 and is_code(heading, [c[number] for c in cells])
        )
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=is_whole)
    for values in cells:
        table.add_row(*values)
    console.print(table)


def _frames(has_frames: bool) -> dict[str, Any]:
    """Give what a table is drawn with."""
    if has_frames:
        return {}
    return {"box": None, "padding": (0, 1, 0, 0), "pad_edge": False}


def _is_number(value: Any) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if hasattr(value, "__index__"):
        return f"{value:,}"
    if _is_number(value):
        return "–" if math.isnan(value) else f"{value:.3f}"
    return str(value)


def _plain(value: Any) -> Any:
    """Turn a value into what JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "tolist"):  # a NumPy array or scalar
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
