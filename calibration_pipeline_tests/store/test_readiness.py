"""Answers are counted as a night would count them, wherever they are read from."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.day_counts import CountingRule
from calibration_pipeline.store.readiness import CountedAnswers, count_answers
from calibration_pipeline.store.sources.base import Fingerprint
from calibration_pipeline.store.sources.native import NATIVE, NativeView
from calibration_pipeline.store.states import write_state
from calibration_pipeline.store.tables import retention_runs
from calibration_pipeline_tests.store.answers import DAY, ZURICH, Extract, log, session
from calibration_pipeline_tests.store.examples import state

RULE = CountingRule((False, False, True, True), minimum_session_answers=3)
WINDOW = 4
FIRST_DAY = date(2026, 1, 1)
KEYS = (("i1", 1), ("i10", 1), ("i2", 1), ("i3", 1))

Count = Callable[..., CountedAnswers]


def after(days: int) -> date:
    return DAY + timedelta(days=days)


@pytest.fixture
def count(engine: sa.Engine, archive: Archive, bank_csv: Path) -> Count:
    import_bank(engine, bank_csv, "3PL")

    def count(newest: date = DAY, **options: Any) -> CountedAnswers:
        return count_answers(
            engine, archive, options.pop("source", NATIVE), ZURICH, RULE, WINDOW,
            first_day=FIRST_DAY, newest_day=newest, **options,
        )  # fmt: skip

    return count


def log_on(engine: sa.Engine, day: date, sessions: int = 1, **changes: Any) -> None:
    for n in range(sessions):
        log(engine, session(f"{day}-{n}", f"{day}T12:00:00+01:00", **changes))


def by_item(values: np.ndarray) -> dict[str, int]:
    return {key[0]: int(n) for key, n in zip(KEYS, values, strict=True) if n}


def test_a_window_is_counted_in_the_source_before_the_first_night(
    engine: sa.Engine, count: Count
) -> None:
    log_on(engine, DAY, 2)
    log_on(engine, after(-3), 1, items="i1 i2 i10")
    log_on(engine, after(-4), 5)  # has left the window
    told: list[tuple[str, int, int]] = []
    found = count(tell=lambda *step: told.append(step))
    assert [step[1:] for step in told] == [(0, 2), (1, 2)]
    assert by_item(found.counts.window) == {"i1": 3, "i2": 3, "i3": 2, "i10": 1}
    assert found.counts.total.tolist() == found.counts.window.tolist()
    days = found.days
    assert (days.window_start, days.last, days.since) == (after(-3), DAY, after(-3))
    assert (days.from_archive, days.from_source, days.undated_rows) == (0, 2, None)
    assert found.counts.days == 4
    assert found.is_anchor.tolist() == [False, True, True, False]


def test_all_that_a_backfill_would_take_in_is_counted_since_a_day(
    engine: sa.Engine, count: Count
) -> None:
    log_on(engine, DAY)
    log_on(engine, after(-20), 5)
    found = count(since=after(-20))
    assert by_item(found.counts.total) == {"i1": 6, "i2": 6, "i3": 6}
    assert by_item(found.counts.window) == {"i1": 1, "i2": 1, "i3": 1}
    assert found.counts.days == 1


def test_what_a_night_leaves_out_is_left_out(engine: sa.Engine, count: Count) -> None:
    log_on(engine, DAY)
    log(engine, session("short", "2026-03-10T13:00:00+01:00", items="i1 i2"))
    log(engine, session("bad", "2026-03-10T14:00:00+01:00", items="i1 who i3"))
    absent = session("absent", "2026-03-10T15:00:00+01:00", items="i1 i2 i3 i10", outcome="scored")
    log(engine, [*absent[:3], absent[3] | {"outcome": "invalid", "score": None}])
    log(engine, session("skipped", "2026-03-10T16:00:00+01:00", outcome="omitted", score=None))
    assert by_item(count().counts.window) == {"i1": 3, "i2": 3, "i3": 3}


def test_archive_and_source_give_the_same(
    engine: sa.Engine, count: Count, extract: Extract
) -> None:
    log_on(engine, DAY, 2)
    log_on(engine, after(-1), 1, items="i1 i2 i10 who", outcome="omitted", score=None)
    log_on(engine, after(-2), 1, items="i1 i2 i10", outcome="not_reached", score=None)
    from_source = count()
    for day in (after(-3), after(-2), after(-1), DAY):
        extract(day)
    archived = count()
    assert (archived.days.from_archive, archived.days.from_source) == (2, 0)
    assert archived.counts.window.tolist() == from_source.counts.window.tolist()
    assert by_item(archived.counts.window) == {"i1": 2, "i2": 2, "i3": 2}


def test_a_state_is_taken_at_its_word_and_later_days_are_added(
    engine: sa.Engine, count: Count, extract: Extract, run_id: str
) -> None:
    stored = replace(
        state(DAY, n_items=4),
        keys=KEYS,
        window_counts=np.array([7, 0, 9, 1]),
        total_counts=np.array([70, 20, 90, 10]),
    )
    write_state(engine, stored, run_id)
    log_on(engine, DAY)
    extract(DAY)
    same = count()
    assert same.counts.window.tolist() == [7, 0, 9, 1]
    assert same.counts.total.tolist() == [70, 20, 90, 10]
    assert (same.days.state, same.days.from_archive, same.days.since) == (DAY, 0, None)
    assert same.estimated_difficulty.tolist() == stored.parameters[:, 1].tolist()
    log_on(engine, after(2), 3)
    later = count(after(9))
    assert later.days.last == after(2)
    assert later.counts.window.tolist() == [4, 0, 4, 4]  # the archive's day, and the source's
    assert later.counts.total.tolist() == [73, 20, 93, 13]
    assert (later.days.from_archive, later.days.from_source) == (1, 1)
    with pytest.raises(BadInputError, match="--since is for a programme before its first night"):
        count(since=after(-9))


def test_an_item_that_the_state_did_not_know_has_no_answers_yet(
    engine: sa.Engine, count: Count, run_id: str
) -> None:
    known = replace(state(DAY, n_items=2), keys=(("i10", 1), ("i3", 1)))
    write_state(engine, replace(known, window_counts=np.array([5, 6])), run_id)
    found = count()
    assert found.counts.window.tolist() == [0, 5, 0, 6]
    assert np.isnan(found.estimated_difficulty).tolist() == [True, False, True, False]


def test_the_window_ends_with_the_newest_answers(engine: sa.Engine, count: Count) -> None:
    log_on(engine, after(-40))
    assert count().days.last == after(-40)
    log_on(engine, after(-2))
    assert count().days.last == after(-2)
    assert count(after(-3)).days.last == after(-40)


class AnswersByTheirOwnTime:
    """The log, as if it told a day by the time of its answers: a session may have begun before."""

    kind, is_in_store, warnings = "by answer", False, ()

    @contextmanager
    def view(self, store: sa.Connection, timezone: ZoneInfo) -> Iterator[NativeView]:
        class View(NativeView):
            def fingerprints(self, first: date, last: date) -> dict[date, Fingerprint]:
                found = super().fingerprints(first - timedelta(days=1), last)
                return {
                    day: max(found[day], found[day - timedelta(days=1)], key=lambda f: f.row_count)
                    for day in found
                    if day >= first
                }

        yield View(store, timezone)


def test_rows_of_a_session_that_began_the_day_before_make_no_day(
    engine: sa.Engine, count: Count
) -> None:
    log_on(engine, after(-2))
    found = count(source=AnswersByTheirOwnTime())
    assert found.days.last == after(-2)
    assert by_item(found.counts.window) == {"i1": 1, "i2": 1, "i3": 1}


def test_without_answers_the_window_ends_with_the_newest_day(count: Count) -> None:
    found = count()
    assert (found.days.last, found.counts.window.sum(), found.days.from_source) == (DAY, 0, 0)


def test_deleted_days_are_said_to_be(engine: sa.Engine, count: Count) -> None:
    log_on(engine, DAY)
    with engine.begin() as connection:
        connection.execute(sa.insert(retention_runs).values(deleted_before=after(-1), counts={}))
    assert count().days.deleted == 2


def test_it_reads_in_a_transaction_that_cannot_write(engine: sa.Engine, count: Count) -> None:
    class Writing:
        kind, is_in_store, warnings = "writing", False, ()

        def view(self, store: sa.Connection, timezone: object) -> Any:
            store.execute(sa.text("DELETE FROM calibration.response_log"))

    with pytest.raises(sa.exc.InternalError, match="read-only transaction"):
        count(source=Writing())


class WithUndatedRows:
    """The log, as if it could hold rows without a time."""

    kind, is_in_store, warnings = "undated", False, ()

    @contextmanager
    def view(self, store: sa.Connection, timezone: ZoneInfo) -> Iterator[NativeView]:
        class View(NativeView):
            def undated_rows(self) -> int:
                return 12

        yield View(store, timezone)


def test_rows_without_a_day_are_counted_where_a_source_can_have_any(
    engine: sa.Engine, count: Count
) -> None:
    log_on(engine, DAY)
    assert count(source=WithUndatedRows()).days.undated_rows == 12
