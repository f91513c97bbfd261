"""What is remembered of files from one night to the next, in a private file beside the archive.

It holds no answers and names no candidate: names and sizes of files, numbers of rows, checksums
and items. Without it, or with one that is damaged, every file is read again.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.private_files import private_file
from calibration_pipeline.store.sources.files.summary import Cell, FileSummary

_FORMAT = 1


class Catalogue:
    """Summaries of files, by name.

    Parameters
    ----------
    path
        Where they are kept; None to keep none.
    meaning
        What a summary depends on besides the file: one that was made under another is no use.
    """

    def __init__(self, path: Path | None, meaning: object) -> None:
        self._path = path
        self._key = _digest(json.dumps([_FORMAT, meaning]))

    def load(self) -> dict[str, FileSummary]:
        """Give what was kept; nothing where that is missing, damaged or of another meaning."""
        if self._path is None:
            return {}
        try:
            head, body = self._path.read_text("utf-8").split("\n", 1)
            if json.loads(head) != {"key": self._key, "digest": _digest(body)}:
                return {}
            return {name: _summary(entry) for name, entry in json.loads(body).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def save(self, summaries: Mapping[str, FileSummary]) -> None:
        """Keep summaries in place of what was kept before.

        Raises
        ------
        BadInputError
            The file can't be written; what was there is as it was.
        """
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BadInputError(
                f"{self._path.parent} can't be made ({error.strerror}): correct the permissions "
                "of the folder above it"
            ) from error
        body = json.dumps({name: _entry(summaries[name]) for name in sorted(summaries)})
        head = json.dumps({"key": self._key, "digest": _digest(body)})
        with private_file(self._path) as file:
            file.write(f"{head}\n{body}".encode())


def _entry(summary: FileSummary) -> dict[str, Any]:
    entry = {name: getattr(summary, name) for name in ("size", "modified_ns", "undated_us")}
    cells = [
        [number, cell.row_count, cell.checksum, cell.latest_logged, cell.latest_late]
        for number, cell in summary.cells.items()
    ]
    days = [[day, positions.tolist()] for day, positions in summary.items_of_day.items()]
    return {**entry, "cells": cells, "items": summary.items, "items_of_day": days}


def _summary(entry: dict[str, Any]) -> FileSummary:
    return FileSummary(
        **entry
        | {
            "cells": {number: Cell(*cell) for number, *cell in entry["cells"]},
            "items": tuple((item_id, version) for item_id, version in entry["items"]),
            "items_of_day": {
                day: np.array(positions, np.int32) for day, positions in entry["items_of_day"]
            },
        }
    )


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
