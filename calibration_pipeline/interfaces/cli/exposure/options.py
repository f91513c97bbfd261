"""What options can't mean is refused before anything is simulated."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import click

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.private_files import require_writable


class FiniteRange(click.FloatRange):
    """A range of numbers; not-a-number, which no comparison refuses, and infinity lie outside."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Give the number, or end with one line that names the option."""
        number = float(super().convert(value, param, ctx))
        if not isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


def require_usable(files: Sequence[Path], force: bool) -> None:
    """Refuse files that exist, can't be written, or are one and the same.

    Raises
    ------
    BadInputError
        Names the file.
    """
    if len({file.resolve() for file in files}) < len(files):
        raise BadInputError(
            f"{files[0]} can't hold two files: give --plot another place than --out"
        )
    for file in files:
        if file.is_dir():
            raise BadInputError(f"{file} is a folder: name a file")
        if file.exists() and not force:
            raise BadInputError(
                f"{file} exists: choose another place, or add --force to replace it"
            )
        require_writable(file)
