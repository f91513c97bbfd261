"""What there is to calibrate with, told from the newest state, the archive and the source.

Changes nothing: PostgreSQL refuses it on the connection that reads the source.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import (
    AnchorSet,
    AnswerCounts,
    BoolArray,
    CalibrationState,
    FloatArray,
    IntArray,
    ItemBank,
)
from calibration_pipeline.store.anchors import read_anchor_set
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.bank import read_bank
from calibration_pipeline.store.day_counts import CountingRule, DayCounter, Place
from calibration_pipeline.store.history import newest_accepted_key
from calibration_pipeline.store.sources.base import ResponseSource, SourceView, days_between
from calibration_pipeline.store.states import read_state
from calibration_pipeline.store.tables import archive_revisions
from calibration_pipeline.store.telling import Tell, tell_nobody, told

_ONE_DAY = timedelta(days=1)
_SPELLINGS = 5
"""Texts that weren't understood, of each reason: more than there are kinds of codes."""


@dataclass(frozen=True)
class CountedDays:
    """Where the answers were counted.

    Attributes
    ----------
    window_start, last
        The window's first and last day.
    since
        The first day whose answers are in the counts "in all"; None where a state holds them.
    state
        The night whose state says how many answers there were by then; None before the first.
    from_archive, from_source
        Days that were counted there; 0 where the state says all.
    deleted
        Days among them whose answers have been deleted.
    left_out
        Rows of the days counted in archive and source that are, or would be, quarantined, by
        reason.
    spellings
        By reason: the commonest texts that weren't understood, with their number of rows; of days
        counted in the source.
    undated_rows
        Rows that no night can take in, since nothing says when they were answered; None where the
        source can't have any.
    """

    window_start: date
    last: date
    since: date | None
    state: date | None
    from_archive: int
    from_source: int
    deleted: int
    left_out: Mapping[str, int]
    undated_rows: int | None
    spellings: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class CountedAnswers:
    """What a programme has to calibrate with.

    Attributes
    ----------
    bank
        The pool as it stands on the last day.
    is_anchor
        ``(n_items,)``
    estimated_difficulty
        ``(n_items,)`` of the newest accepted state; NaN where there is none.
    counts
        Answers by item.
    days
        Where they were counted.
    """

    bank: ItemBank
    is_anchor: BoolArray
    estimated_difficulty: FloatArray
    counts: AnswerCounts
    days: CountedDays


def count_answers(
    engine: sa.Engine,
    archive: Archive,
    source: ResponseSource,
    timezone: ZoneInfo,
    rule: CountingRule,
    window_days: int,
    *,
    first_day: date,
    newest_day: date,
    since: date | None = None,
    tell: Tell = tell_nobody,
) -> CountedAnswers:
    """Count the answers to each item of the pool.

    What the newest accepted state knows is taken from there. Other days are counted in the newest
    revision of the archive, and those that haven't been extracted in the source.

    Parameters
    ----------
    source
        Where days come from that haven't been extracted.
    rule, window_days
        Which answers count, and the length of the window.
    first_day
        The first day of the programme.
    newest_day
        The window ends with the last day up to this one that has answers.
    since
        Before the first night: count in all what has come since this day; None for the window's.
    tell
        Told which day is being counted.

    Raises
    ------
    NightBlockedError
        An archived file is missing or damaged.
    SourceError
        The source can't be read.
    BadInputError
        `since` is given, and there has been a night.
    """
    key = newest_accepted_key(engine, newest_day + _ONE_DAY)
    state = read_state(engine, *key) if key else None
    if since is not None and state is not None:
        raise BadInputError(
            f"--since is for a programme before its first night, and {state.partition} has been "
            "calibrated: leave it out, the state knows all that was counted by then"
        )
    with engine.connect() as connection:
        connection = connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        with connection.begin(), source.view(connection, timezone) as view:
            known = _known_days(connection, state, newest_day)
            earliest = max(known) + _ONE_DAY if known else first_day
            newest = _newest_in_source(source, view, earliest, newest_day, window_days)
            last = newest or max(known, default=newest_day)
            bank = read_bank(engine, last)
            counter = DayCounter(engine, connection, archive, view, bank, rule)
            counts, days = _count(counter, state, last, window_days, since, tell)
    is_anchor = _anchored(bank, read_anchor_set(engine, last))
    return CountedAnswers(bank, is_anchor, _estimated_difficulty(bank, state), counts, days)


def _anchored(bank: ItemBank, anchors: AnchorSet) -> BoolArray:
    is_anchor = np.zeros(bank.n_items, np.bool_)
    positions = bank.positions(anchors.keys)
    is_anchor[positions[positions >= 0]] = True
    return is_anchor


def _known_days(
    connection: sa.Connection, state: CalibrationState | None, newest_day: date
) -> list[date]:
    """Days that are known to have had their night, or to have answers in the archive."""
    r = archive_revisions.c
    archived: date | None = connection.scalar(
        sa.select(sa.func.max(r.day)).where(r.day <= newest_day, r.response_count > 0)
    )
    return [day for day in (archived, None if state is None else state.partition) if day]


def _newest_in_source(
    source: ResponseSource, view: SourceView, earliest: date, newest_day: date, window_days: int
) -> date | None:
    """Find the newest day on which a session began; None if there is none."""
    # The newest days first: to look at a whole log takes long, and is hardly ever needed.
    recent = max(earliest, newest_day - timedelta(days=window_days - 1))
    for first, last in ((recent, newest_day), (earliest, recent - _ONE_DAY)):
        found = view.fingerprints(first, last) if first <= last else {}
        for day in sorted((day for day in found if found[day].row_count), reverse=True):
            # Elsewhere than in the log, rows may be of a session that began the day before.
            if source.is_in_store or sum(rows.num_rows for rows in view.stream_day(day)):
                return day
    return None


def _count(
    counter: DayCounter,
    state: CalibrationState | None,
    last: date,
    window_days: int,
    since: date | None,
    tell: Tell,
) -> tuple[AnswerCounts, CountedDays]:
    """Add up what the state doesn't know: all of the window, if that has moved on since."""
    bank = counter.bank
    start = last - timedelta(days=window_days - 1)
    window, total = np.zeros((2, bank.n_items), np.int64)
    first, known_through = min(since or start, start), date.min
    if state is not None:
        first, known_through = min(start, state.partition + _ONE_DAY), state.partition
        total = _in_order(bank, state, state.total_counts)
    places = counter.places(days_between(first, last))
    counted = {day: place for day, place in places.items() if place is not Place.NOWHERE}
    if state is not None and state.partition == last:
        window, counted = _in_order(bank, state, state.window_counts), {}
    with_answers = {day for day in places if day >= start and places[day] is Place.ARCHIVE}
    for day, place in told(tell, "Counting answers, by day", counted.items()):
        answers = counter.count(day, place)
        window += answers if day >= start else 0
        total += answers if day > known_through else 0
        if day >= start and answers.any():
            with_answers.add(day)
    began = min(with_answers, default=start)
    by_place = list(counted.values())
    undated = getattr(counter.view, "undated_rows", None)
    return AnswerCounts(window, total, (last - began).days + 1), CountedDays(
        window_start=start,
        last=last,
        since=first if state is None else None,
        state=None if state is None else state.partition,
        from_archive=by_place.count(Place.ARCHIVE),
        from_source=by_place.count(Place.SOURCE),
        deleted=by_place.count(Place.DELETED),
        left_out=dict(counter.left_out.most_common()),
        undated_rows=None if undated is None else int(undated()),
        spellings=_commonest(counter.spellings),
    )


def _commonest(spellings: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (reason, text), rows in spellings.most_common():
        of_reason = found.setdefault(reason, {})
        if len(of_reason) < _SPELLINGS:
            of_reason[text] = rows
    return found


def _in_order(bank: ItemBank, state: CalibrationState, values: IntArray) -> IntArray:
    """Bring a state's counts into the order of the bank; 0 for items that it didn't know."""
    found = np.zeros(bank.n_items, np.int64)
    positions = bank.positions(state.keys)
    found[positions[positions >= 0]] = values[positions >= 0]
    return found


def _estimated_difficulty(bank: ItemBank, state: CalibrationState | None) -> FloatArray:
    """The state's difficulties in the order of the bank; NaN for items that it didn't know."""
    found = np.full(bank.n_items, np.nan)
    if state is not None:
        positions = bank.positions(state.keys)
        found[positions[positions >= 0]] = state.parameters[positions >= 0, 1]
    return found
