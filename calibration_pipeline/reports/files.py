"""Where the pages lie: one file per night in a private folder, and an index of them.

Item parameters are test secrets: the folder and its files can be read by their owner alone.
"""

import errno
import os
import re
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

from calibration_pipeline.errors import BadInputError, DiskFullError
from calibration_pipeline.reports.templating import UNKNOWN, count_text, template_environment

INDEX_NAME = "index.html"
_HEAD_BYTES = 16_384
_NAVIGATION = re.compile(rb"<!-- nights -->.*?<!-- /nights -->", re.DOTALL)
_STATED = "calibration-"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class ReportedNight:
    """One night of the index: its day, its file, and what its page says in its head.

    Attributes
    ----------
    sentence
        What became of it.
    stated
        Figures by name; pages of earlier releases state none.
    """

    day: date
    file_name: str
    sentence: str
    stated: dict[str, str] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """'published', 'rejected' or 'unpublished'; empty where the page doesn't say."""
        return self.stated.get("outcome", "")

    @property
    def alarms(self) -> tuple[str, ...]:
        """What somebody should look at first."""
        return tuple(self.stated.get("alarms", "").splitlines())

    def figure(self, name: str) -> str:
        """A whole number as people write it; a dash where the page states none."""
        text = self.stated.get(name, "")
        return count_text(int(text)) if text.isdecimal() else UNKNOWN

    @property
    def flags(self) -> str:
        """Open flags, and how many of them are new."""
        numbers = self.stated.get("flags", "").split()
        if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
            return UNKNOWN
        n_open, n_new = map(int, numbers)
        return f"{count_text(n_open)} ({count_text(n_new)} new)"


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
    return _write(folder, f"{day.isoformat()}.html", html.encode())


def write_index(folder: Path) -> Path:
    """Write `index.html`: every night that has a page in the folder, newest first.

    Raises
    ------
    BadInputError
        The folder can't be read or written.
    """
    template = template_environment().get_template("night_index.html.j2")
    text = template.render(nights=reported_nights(folder))
    return _write(folder, INDEX_NAME, text.encode())


def link_nights(folder: Path, days: Collection[date]) -> None:
    """Give the pages of some days, and those beside them, links to the night before and after.

    A page is written before there is a night after it.

    Raises
    ------
    BadInputError
        The folder can't be read or written.
    DiskFullError
        There is no room.
    """
    pages = reported_nights(folder)[::-1]
    template = template_environment().get_template("night_links.html.j2")
    for place, night in enumerate(pages):
        before, after = pages[max(place - 1, 0) : place], pages[place + 1 : place + 2]
        if {night.day, *(beside.day for beside in (*before, *after))}.isdisjoint(days):
            continue
        links = template.render(before=before, after=after).strip().encode()
        path = folder / night.file_name
        text = path.read_bytes()
        linked = _NAVIGATION.sub(lambda _: links, text, count=1)  # noqa: B023 - used at once
        if linked != text:
            _write(folder, night.file_name, linked)


def reported_nights(folder: Path) -> tuple[ReportedNight, ...]:
    """Nights with a page in the folder, newest first; other files are passed over."""
    try:
        pages = [(day, path) for path in folder.glob("*.html") if (day := _day_of(path))]
        nights = [ReportedNight(day, path.name, *_stated_by(path)) for day, path in pages]
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


def _stated_by(path: Path) -> tuple[str, dict[str, str]]:
    """Read what a page says about its night, from its head: the index never loads whole pages."""
    with path.open("rb") as file:
        beginning = file.read(_HEAD_BYTES).decode(errors="ignore")
    parser = _HeadParser()
    # A year has hundreds of pages: what follows the head takes twenty times as long to parse.
    parser.feed(beginning.partition("</head>")[0])
    return parser.stated.pop("description", ""), {
        name.removeprefix(_STATED): content
        for name, content in parser.stated.items()
        if name.startswith(_STATED)
    }


class _HeadParser(HTMLParser):
    """Picks what is stated by name out of a page's head."""

    def __init__(self) -> None:
        super().__init__()
        self.stated: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "meta" and (name := named.get("name")):
            self.stated[name] = named.get("content") or ""


def _write(folder: Path, name: str, content: bytes) -> Path:
    target = folder / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        _replace(target, content)
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
