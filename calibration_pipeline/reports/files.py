"""Where the pages lie: one file per night in a private folder, and an index of them.

Item parameters are test secrets: the folder and its files can be read by their owner alone.
"""

import errno
import os
import tempfile
from dataclasses import dataclass
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

from calibration_pipeline.errors import BadInputError, DiskFullError
from calibration_pipeline.reports.templating import template_environment

INDEX_NAME = "index.html"
_HEAD_BYTES = 16_384
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class ReportedNight:
    """One night of the index: its day, its file, and what its page says became of it."""

    day: date
    file_name: str
    sentence: str


def write_page(folder: Path, day: date, html: str) -> Path:
    """Write a night's page, in place of an earlier one of the same day.

    A reader sees the old page or the new one, never a part. The folder is made if need be and
    closed to other users (0700); the file is created with mode 0600.

    Raises
    ------
    BadInputError
        The folder or the file can't be written.
    DiskFullError
        There is no room.
    """
    return _write(folder, f"{day.isoformat()}.html", html)


def write_index(folder: Path) -> Path:
    """Write `index.html`: every night that has a page in the folder, newest first.

    Raises
    ------
    BadInputError
        The folder can't be read or written.
    """
    template = template_environment().get_template("night_index.html.j2")
    return _write(folder, INDEX_NAME, template.render(nights=reported_nights(folder)))


def reported_nights(folder: Path) -> tuple[ReportedNight, ...]:
    """Nights with a page in the folder, newest first; other files are passed over."""
    try:
        pages = [(day, path) for path in folder.glob("*.html") if (day := _day_of(path))]
        nights = [ReportedNight(day, path.name, _sentence_of(path)) for day, path in pages]
    except OSError as error:
        raise BadInputError(
            f"the reports in {folder} can't be read ({error.strerror}): "
            "give the account that runs the calibration access to them"
        ) from None
    return tuple(sorted(nights, key=lambda night: night.day, reverse=True))


def _day_of(path: Path) -> date | None:
    try:
        day = date.fromisoformat(path.stem)
    except ValueError:
        return None
    return day if day.isoformat() == path.stem else None


def _sentence_of(path: Path) -> str:
    """Read what a page says about its night, from its head: the index never loads whole pages."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES).decode(errors="ignore")
    parser = _DescriptionParser()
    parser.feed(head)
    return parser.description


class _DescriptionParser(HTMLParser):
    """Picks the description out of a page's head."""

    description = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "meta" and named.get("name") == "description":
            self.description = named.get("content") or ""


def _write(folder: Path, name: str, text: str) -> Path:
    target = folder / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        _replace(target, text.encode())
    except OSError as error:
        kind = DiskFullError if error.errno in _NO_ROOM else BadInputError
        raise kind(
            f"the report {target} can't be written ({error.strerror}): "
            "make room there, or give the account that runs the calibration access to its folder"
        ) from None
    return target


def _replace(target: Path, content: bytes) -> None:
    """Write beside the target, then rename over it; mkstemp creates with mode 0600.

    What a killed writer left beside it goes first: one calibration runs at a time.
    """
    for leftover in target.parent.glob(f".{target.name}.*"):
        leftover.unlink(missing_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
