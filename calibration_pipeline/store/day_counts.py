"""Answers of a local day by item: of its archived revision, or of its source if it has none yet."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from numpy.typing import NDArray

from calibration_pipeline.records import OUTCOMES, BoolArray, DayResponses, IntArray, ItemBank
from calibration_pipeline.store import extraction
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.deletions import retention_cut
from calibration_pipeline.store.quarantine import SortedOut, sort_out
from calibration_pipeline.store.quarantine_reading import UNREAD_REASONS
from calibration_pipeline.store.sources.base import SourceView, reading_again

_SPELLINGS = 1000


class Place(Enum):
    """Where a day's answers are."""

    ARCHIVE = "archive"
    SOURCE = "source"
    NOWHERE = "nowhere"
    DELETED = "deleted"


@dataclass(frozen=True)
class CountingRule:
    """Which answers a night takes.

    Attributes
    ----------
    absent_outcomes
        By `OUTCOMES`: whether such an answer counts as if its item had not been given.
    minimum_session_answers
        A session with fewer answers on a scale informs nothing.
    """

    absent_outcomes: tuple[bool, ...]
    minimum_session_answers: int


@dataclass(frozen=True)
class DayCounter:
    """Counts the answers of days as a night would take them.

    Attributes
    ----------
    engine, archive
        The store.
    connection
        In the transaction of `view`.
    view
        Of the source.
    bank
        The pool.
    rule
        Which answers count.
    left_out
        Rows of the days counted so far that are, or would be, quarantined, by reason.
    spellings
        Of those rows of the source whose code, outcome or time wasn't understood: how many have
        which text, by reason and text. Of the first thousand different ones.
    """

    engine: sa.Engine
    connection: sa.Connection
    archive: Archive
    view: SourceView
    bank: ItemBank
    rule: CountingRule
    left_out: Counter[str] = field(default_factory=Counter)
    spellings: Counter[tuple[str, str]] = field(default_factory=Counter)

    def places(self, days: Sequence[date]) -> dict[date, Place]:
        """Say where the answers of each day are; a day without answers has none."""
        cut = retention_cut(self.connection) or date.min
        archived = extraction.newest_revisions(self.engine, days)
        unread = [day for day in days if day >= cut and day not in archived]
        rows = self.view.fingerprints(unread[0], unread[-1]) if unread else {}

        def place(day: date) -> Place:
            if day < cut:
                return Place.DELETED
            if day in archived:
                return Place.ARCHIVE if archived[day].response_count else Place.NOWHERE
            return Place.SOURCE if rows[day].row_count else Place.NOWHERE

        return {day: place(day) for day in days}

    def count(self, day: date, place: Place) -> IntArray:
        """Count a day's answers by item, ``(n_items,)``; those of the source block by block."""
        counts = np.zeros(self.bank.n_items, np.int64)
        if place is Place.ARCHIVE:
            read = extraction.read_day(self.engine, self.archive, day)
            self.left_out.update(read.revision.quarantine_counts)
            counts += self._countable(*_archived_answers(read, self.bank))
        elif place is Place.SOURCE:
            counts += reading_again(lambda: self._count_source(day))
        return counts

    def _count_source(self, day: date) -> IntArray:
        counts = np.zeros(self.bank.n_items, np.int64)
        so_far = replace(self, left_out=self.left_out.copy(), spellings=self.spellings.copy())
        for rows in extraction.whole_sessions(self.view.stream_day(day)):
            sorted_out = sort_out(rows)
            so_far._count_left_out(sorted_out.left_out)
            counts += self._countable(*_answers_of_source(sorted_out, self.bank))
        # Not before the end: the day may have to be read again.
        self.left_out.update(so_far.left_out - self.left_out)
        self.spellings.update(so_far.spellings - self.spellings)
        return counts

    def _count_left_out(self, rows: pa.Table) -> None:
        self.left_out.update(rows["reason"].to_pylist())
        unread = rows.filter(pc.is_in(rows["reason"], value_set=pa.array(UNREAD_REASONS)))
        for row in unread.select(["reason", "outcome"]).to_pylist():
            found = (row["reason"], row["outcome"])
            if row["outcome"] and (found in self.spellings or len(self.spellings) < _SPELLINGS):
                self.spellings[found] += 1

    def _countable(self, item: IntArray, session: IntArray, outcome: NDArray[np.uint8]) -> IntArray:
        is_absent = np.array(self.rule.absent_outcomes)[outcome]
        shortest = self.rule.minimum_session_answers
        return countable_answers(item, session, is_absent, self.bank, shortest)


def countable_answers(
    item: IntArray,
    session: IntArray,
    is_absent: BoolArray,
    bank: ItemBank,
    minimum_session_answers: int,
) -> IntArray:
    """Count the answers that a night would take, by item, ``(n_items,)``.

    What a night leaves out is left out: outcomes that count as absent, and sessions with too few
    answers on the scale. A candidate's later answers to an item do count here.

    Parameters
    ----------
    item
        ``(n_answers,)`` position in the bank, −1 where it has none.
    session
        ``(n_answers,)`` number of the session, from 0; sessions are whole.
    is_absent
        ``(n_answers,)`` the answer counts as if the item had not been given.
    """
    kept = (item >= 0) & ~is_absent
    item, session = item[kept], session[kept]
    n_scales = len(bank.scale_names)
    place = session.astype(np.int64) * n_scales + bank.scale_index[item]
    long_enough = np.bincount(place, minlength=1) >= minimum_session_answers
    counts: IntArray = np.bincount(item[long_enough[place]], minlength=bank.n_items)
    return counts.astype(np.int64)


_Answers = tuple[IntArray, IntArray, NDArray[np.uint8]]
"""Position in the bank, number of the session, and place in `OUTCOMES`, of each answer."""


def _archived_answers(day: DayResponses, bank: ItemBank) -> _Answers:
    lengths = np.diff(day.session_offsets)
    outcome = np.zeros(len(day.item), np.uint8) if day.outcome is None else day.outcome
    item = bank.positions(day.keys)[day.item] if len(day.item) else np.empty(0, np.int64)
    return item, np.repeat(np.arange(len(lengths)), lengths), outcome


def _answers_of_source(sorted_out: SortedOut, bank: ItemBank) -> _Answers:
    """Give what an extraction would keep of whole sessions."""
    kept = sorted_out.kept
    place = pc.index_in(kept["outcome"], value_set=pa.array(OUTCOMES))
    outcome = pc.fill_null(place, 0).to_numpy().astype(np.uint8)
    return _positions(kept["item_id"], kept["content_version"], bank), sorted_out.session, outcome


def _positions(item_ids: Any, versions: Any, bank: ItemBank) -> IntArray:
    encoded = pc.dictionary_encode(item_ids.combine_chunks())
    names = encoded.dictionary.to_pylist()
    numbers = versions.to_numpy().astype(np.int64)
    # One number per (item, version); versions are small, so the product stays far from overflow.
    span = int(numbers.max(initial=0)) + 1
    present, inverse = np.unique(
        encoded.indices.to_numpy().astype(np.int64) * span + numbers, return_inverse=True
    )
    keys = [(names[code // span], int(code % span)) for code in present.tolist()]
    return bank.positions(keys)[inverse]
