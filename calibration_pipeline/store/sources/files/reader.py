"""CSV and Parquet files as a source: one file, or a folder of them with the folders below it.

Files are remembered by what is in them (`catalogue`), so that a night reads those alone that
are new, that have changed, or that hold rows of the day it wants.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa

from calibration_pipeline.errors import BadInputError, SourceSettingError
from calibration_pipeline.records import ItemKey
from calibration_pipeline.store.sources.base import Fingerprint
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline.store.sources.files import summary
from calibration_pipeline.store.sources.files.catalogue import Catalogue
from calibration_pipeline.store.sources.files.columns import accepted_names
from calibration_pipeline.store.sources.files.folder import Listing, SourceFile, list_files, shown
from calibration_pipeline.store.sources.files.placing import placing
from calibration_pipeline.store.sources.files.summary import FileSummary, SummaryBuilder
from calibration_pipeline.store.sources.files.text import read_columns, read_text

SETTLED = timedelta(seconds=2)
"""A file that was written less than this before it was read is read again the next time: the clock
of its disk may not tell a second write from the first."""

_SETTLED_NS = SETTLED // timedelta(microseconds=1) * 1000


class FilesReader:
    """Files of answers.

    Parameters
    ----------
    configuration
        Path, names of columns, and the zone of times without an offset.
    catalogue
        Where is kept what files hold; None for nowhere.
    clock
        Nanoseconds since 1970 UTC.
    keep
        Write to the catalogue; a dry run reads it alone.

    Raises
    ------
    SourceSettingError
        No path is set, or a name in the settings isn't a column's.
    """

    kind = "files"

    def __init__(
        self,
        configuration: SourceConfiguration,
        catalogue: Path | None,
        clock: Callable[[], int] = time.time_ns,
        *,
        keep: bool = True,
    ) -> None:
        if configuration.path is None:
            raise SourceSettingError(
                "answers are to come from files, and nothing says which: set "
                "CALIBRATION_SOURCE__PATH to a CSV or Parquet file, or to a folder of them"
            )
        self._path = configuration.path
        self._naive_timezone = configuration.naive_timezone
        self._accepted = accepted_names(configuration.names)
        self._clock = clock
        meaning = [str(self._path.absolute()), self._accepted, self._naive_timezone]
        self._catalogue = Catalogue(catalogue, meaning)
        self._keep = keep
        self._remembered: dict[str, FileSummary] | None = None
        self._warnings: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """See `RawReader`."""
        return tuple(self._warnings)

    def examine(self, store_url: str) -> tuple[str, ...]:
        """See `RawReader`. The header of each file is read."""
        del store_url
        listing = list_files(self._path)
        self._warn_of_links(listing)
        for file in listing.files:
            read_columns(file, self._accepted)
        first, last = listing.files[0].shown_name, listing.files[-1].shown_name
        if len(listing.files) == 1:
            return (first,)
        return (f"{len(listing.files):,} files, from {first} to {last}",)

    @contextmanager
    def view(self, store_url: str) -> Iterator["FilesView"]:
        """See `RawReader`. What is added to the folder while the view is open isn't in it."""
        del store_url
        listing = list_files(self._path)
        self._warn_of_links(listing)
        summaries = self._summaries(listing.files)
        files = [(file, summaries[file.name]) for file in listing.files]
        yield FilesView(files, self._accepted, self._naive_timezone)

    def _summaries(self, files: Sequence[SourceFile]) -> dict[str, FileSummary]:
        """Give the summary of each file, reading those that aren't remembered as they are."""
        if self._remembered is None:
            self._remembered = self._catalogue.load()
        before = self._remembered
        found = {f.name: before[f.name] for f in files if _is_as_remembered(f, before)}
        started_ns = self._clock()
        columns = {f.name: read_columns(f, self._accepted) for f in files if f.name not in found}
        settled = dict(found)
        unread = [file for file in files if file.name not in found]
        try:
            for file, cells in self._read(unread, columns):
                summary = cells.build()
                found[file.name] = summary
                if file.modified_ns < started_ns - _SETTLED_NS:
                    settled[file.name] = summary
        finally:  # where one of many files is damaged, the others needn't be read again
            self._remember(settled)
        return found

    def _read(
        self,
        files: Sequence[SourceFile],
        columns: Mapping[str, Mapping[str, str]],
    ) -> Iterator[tuple[SourceFile, SummaryBuilder]]:
        if not files:
            return
        with placing(self._naive_timezone) as places:
            for file in files:
                own = columns.get(file.name) or read_columns(file, self._accepted)
                builder = SummaryBuilder(file.size, file.modified_ns)
                for rows in read_text(file, own):
                    for cell in places.summarise(rows, file.modified_ns // 1000):
                        builder.add(cell)
                yield file, builder

    def _remember(self, summaries: dict[str, FileSummary]) -> None:
        before, self._remembered = self._remembered, summaries
        if not self._keep or (before is not None and _same(before, summaries)):
            return
        try:
            self._catalogue.save(summaries)
        except BadInputError as error:
            self._warn(f"{error}; until then every file of answers is read again each night")

    def _warn_of_links(self, listing: Listing) -> None:
        if listing.links:
            self._warn(
                f"{len(listing.links):,} symbolic links among the files of answers were passed "
                f"over, the first is {shown(listing.links[0])}: put the files themselves there"
            )

    def _warn(self, warning: str) -> None:
        if warning not in self._warnings:
            self._warnings.append(warning)


class FilesView:
    """Files as they were listed; what happens to one of them is noticed when it is read.

    Parameters
    ----------
    files
        Each with its summary.
    accepted
        Names of columns, by `columns.accepted_names`.
    naive_timezone
        Zone of times without an offset; None if nobody said.
    """

    def __init__(
        self,
        files: Sequence[tuple[SourceFile, FileSummary]],
        accepted: Mapping[str, Sequence[str]],
        naive_timezone: str | None,
    ) -> None:
        self._files = files
        self._summaries = [summary for _, summary in files]
        self._accepted = accepted
        self._naive_timezone = naive_timezone

    @property
    def is_dated_by_session(self) -> bool:
        """See `RawView`. Never: nothing keeps a file from stating it for some of its rows alone."""
        return False

    def fingerprints(
        self, bounds: Sequence[datetime], known: Collection[ItemKey]
    ) -> list[Fingerprint]:
        """See `RawView`. No file is read."""
        return summary.fingerprints(self._summaries, bounds, known)

    def late_arrivals(
        self, bounds: Sequence[datetime], since: datetime | None
    ) -> list[datetime | None]:
        """See `RawView`. Known where files have a column logged_at; no file is read."""
        return summary.late_arrivals(self._summaries, bounds, since)

    def stream(self, first: datetime, last: datetime) -> Iterator[pa.Table]:
        """See `RawView`. Reads the files that hold such rows, one after another."""
        wanted = [each for each in self._files if each[1].has_rows_between(first, last)]
        if not wanted:
            return
        with placing(self._naive_timezone) as places:
            for file, summary in wanted:
                for rows in read_text(file, read_columns(file, self._accepted)):
                    found = places.between(rows, first, last, summary.undated_us)
                    if found.num_rows:
                        yield found

    def undated_rows(self) -> int:
        """See `RawView`: none, since a row without a time lies with the others of its file."""
        return 0


def _is_as_remembered(file: SourceFile, remembered: Mapping[str, FileSummary]) -> bool:
    summary = remembered.get(file.name)
    return summary is not None and (summary.size, summary.modified_ns) == (
        file.size,
        file.modified_ns,
    )


def _same(one: Mapping[str, FileSummary], other: Mapping[str, FileSummary]) -> bool:
    """Whether the same summaries are kept; one that was made again is another."""
    return one.keys() == other.keys() and all(one[name] is other[name] for name in one)
