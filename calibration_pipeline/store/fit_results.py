"""A fit on disk: items.csv, abilities.csv and fit.json, all of them or none."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.private_files import private_file

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class FitFiles:
    """Where a fit goes; nothing is written before `write`.

    Raises
    ------
    BadInputError
        The folder can't be used, or holds an earlier fit that is not to be replaced.
    """

    items: Path
    abilities: Path
    document: Path

    @classmethod
    def in_folder(cls, folder: Path, *, replace: bool) -> "FitFiles":
        """Choose the places in a folder, before the work whose result they are for."""
        files = cls(folder / "items.csv", folder / "abilities.csv", folder / "fit.json")
        if folder.exists() and not folder.is_dir():
            raise BadInputError(f"{folder} is not a folder: choose another place")
        found = [path.name for path in files.paths if path.exists()]
        if found and not replace:
            raise BadInputError(
                f"the folder {folder} holds {', '.join(found)} already: choose another, or add "
                "--force to replace the earlier fit"
            )
        return files

    @property
    def paths(self) -> tuple[Path, Path, Path]:
        """All three."""
        return self.items, self.abilities, self.document

    def write(self, items: Columns, abilities: Columns, document: Mapping[str, Any]) -> None:
        """Write the files, readable by their owner alone; all of them or none.

        Parameters
        ----------
        items, abilities
            Columns of equal length; None and NaN are blank cells.
        document
            What fit.json says; NaN is null.

        Raises
        ------
        BadInputError
            The folder or a file can't be written.
        """
        folder = self.items.parent
        is_new = not folder.exists()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BadInputError(
                f"the folder {folder} can't be used ({error.strerror}): choose another"
            ) from error
        try:
            with ExitStack() as stack:
                # The files get their names when the stack unwinds: after all three are written.
                files = [stack.enter_context(private_file(path)) for path in self.paths]
                _write_csv(files[0], items)
                _write_csv(files[1], abilities)
                text = json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False)
                files[2].write(f"{text}\n".encode())
        except BaseException:
            if is_new:
                with suppress(OSError):  # it is not empty only if a rename failed
                    folder.rmdir()
            raise


def _write_csv(file: IO[bytes], columns: Columns) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(_cells(column) for column in columns.values()), strict=True))
    text.detach()


def _cells(column: Iterable[Any]) -> Iterable[Any]:
    """Give values with what isn't known left blank."""
    return ("" if value is None or value != value else value for value in column)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
