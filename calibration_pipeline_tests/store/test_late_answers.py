"""Answers to folded days: found by their arrival, counted once, however often one looks."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from calibration_pipeline.store import states
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.due_days import days_due, extract_days_due
from calibration_pipeline.store.late_answers import (
    LONGEST_TRANSACTION,
    LateDay,
    archived_late_answers,
    days_behind,
    late_answers,
    record_search,
    start_search,
)
from calibration_pipeline.store.revisions import newest_revisions
from calibration_pipeline.store.sources.native import NativeView
from calibration_pipeline.store.tables import response_log, source_checks
from calibration_pipeline_tests.store.answers import DAY, KEY, ZURICH, Extract, log, session
from calibration_pipeline_tests.store.examples import state

WINDOW = 2
Fold = Callable[..., date]


def after(days: int) -> date:
    return DAY + timedelta(days=days)


def noon(day: date) -> str:
    return f"{day}T12:00:00+01:00"


def log_now(engine: sa.Engine, name: str, day: date, items: str = "i1 i2") -> None:
    """Log a session whose answers arrive now, by the database's clock: long after the day."""
    log(engine, arriving_now(name, day, items))


def arriving_now(name: str, day: date, items: str) -> list[dict[str, Any]]:
    rows = session(name, noon(day), items)
    return [{n: v for n, v in row.items() if n != "ingested_at"} for row in rows]


def pass_over_what_came(engine: sa.Engine) -> None:
    """Let the next search begin now, as it does a day after an answer came."""
    record_search(engine, start_search(engine) + LONGEST_TRANSACTION)


@pytest.fixture
def fold(engine: sa.Engine, archive: Archive, extract: Extract, run_id: str) -> Fold:
    """Run the night that folds the day so many days after the first one; give that day."""

    def fold(number: int, attempt: int = 1, parent: int | None = None) -> date:
        day = after(number)
        night = day + timedelta(days=WINDOW)
        root = DAY - timedelta(days=1)
        if states.read_state(engine, root + timedelta(days=WINDOW)) is None:
            first = root + timedelta(days=WINDOW)
            made = state(first, n_items=1, folded_through=root, folded=())
            states.write_state(engine, made, run_id)
        start = after(number - 1 if parent is None else parent)
        extract_days_due(engine, archive, ZURICH, KEY, night, WINDOW, start)
        extract(night)
        leaving = [start + timedelta(days=n) for n in range(1, (day - start).days + 1)]
        found = newest_revisions(engine, leaving)
        made = state(
            night,
            attempt,
            n_items=1,
            folded_through=day,
            folded=tuple((d, found[d].revision, found[d].digest) for d in leaving if d in found),
            parent=(start + timedelta(days=WINDOW), 1),
        )
        states.write_state(engine, made, run_id)
        return day

    return fold


def late(engine: sa.Engine, folded_through: date) -> dict[date, int]:
    return {found.day: found.answers for found in late_answers(engine, folded_through, ZURICH)}


@pytest.fixture
def folded(engine: sa.Engine, fold: Fold) -> date:
    """Three days of one session each; two of them are folded."""
    for number in range(3):
        log_now(engine, f"s{number}", after(number))
    fold(0)
    return fold(1)


def test_without_a_state_nothing_is_late(engine: sa.Engine) -> None:
    assert late_answers(engine, DAY, ZURICH) == ()


def test_an_answer_is_late_before_and_after_it_is_extracted_and_once(
    engine: sa.Engine, folded: date, fold: Fold
) -> None:
    assert late(engine, folded) == {}
    log_now(engine, "late", DAY, "i1 i2 i3")
    assert late(engine, folded) == {DAY: 3}
    assert archived_late_answers(engine, folded) == ()
    for number in (2, 3):
        assert late(engine, fold(number)) == {DAY: 3}
    assert newest_revisions(engine, [DAY])[DAY].revision == 2
    assert archived_late_answers(engine, folded) == (LateDay(DAY, 3),)
    log_now(engine, "later", DAY, "i1")
    assert late(engine, folded) == {DAY: 4}
    assert late(engine, fold(4)) == {DAY: 4}


def test_an_answer_to_a_day_that_is_yet_to_be_folded_is_not_late(
    engine: sa.Engine, folded: date, fold: Fold
) -> None:
    log_now(engine, "in time", after(2))
    assert late(engine, folded) == {}
    assert late(engine, fold(2)) == {}
    assert newest_revisions(engine, [after(2)])[after(2)].revision == 2


def test_only_days_up_to_the_one_asked_for_are_folded(engine: sa.Engine, folded: date) -> None:
    log_now(engine, "late", folded)
    assert late(engine, DAY) == {}
    assert late(engine, folded) == {folded: 2}


def test_a_day_without_an_archive_was_folded_as_nothing(
    engine: sa.Engine, fold: Fold, extract: Extract
) -> None:
    """So was a day of the first window that no run had reason to extract."""
    log_now(engine, "s1", after(1))
    fold(0)
    folded = fold(1)
    extract(DAY)
    assert late(engine, folded) == {}  # an empty archive is the same as none
    log_now(engine, "late", DAY)
    assert late(engine, folded) == {DAY: 2}
    extract(DAY)
    assert late(engine, folded) == {DAY: 2}


def test_a_correction_that_says_when_it_came_is_found_and_adds_nothing(
    engine: sa.Engine, folded: date, fold: Fold
) -> None:
    pass_over_what_came(engine)
    correct = "UPDATE calibration.response_log SET score = 1 - score WHERE session_id = 's0'"
    with engine.begin() as connection:
        connection.execute(sa.text(correct))
    assert late(engine, folded) == {}  # it can't be told from a day that is as it was
    with engine.begin() as connection:
        connection.execute(sa.text(correct.replace("SET", "SET ingested_at = now(),")))
        connection.execute(sa.text(correct))
    assert late(engine, folded) == {DAY: 0}
    assert late(engine, fold(2)) == {DAY: 0}


def test_an_answer_whose_transaction_ended_after_a_later_one_was_seen_is_found(
    engine: sa.Engine, folded: date, fold: Fold
) -> None:
    """It says that it arrived before all that was extracted."""
    with engine.connect() as slow, slow.begin():
        slow.execute(sa.insert(response_log), arriving_now("slow", DAY, "i1 i2"))
        log_now(engine, "quick", DAY, "i1")
        assert late(engine, fold(2)) == {DAY: 1}
    assert late(engine, folded) == {DAY: 3}
    assert late(engine, fold(3)) == {DAY: 3}
    assert newest_revisions(engine, [DAY])[DAY].revision == 3


def test_the_same_rows_logged_anew_are_no_late_answers(
    engine: sa.Engine, folded: date, fold: Fold
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE calibration.response_log SET ingested_at = now()"))
    assert late(engine, folded) == {}
    assert late(engine, fold(2)) == {}
    assert newest_revisions(engine, [DAY])[DAY].revision == 1


def test_bad_rows_are_not_counted_once_they_are_sorted_out(
    engine: sa.Engine, folded: date, fold: Fold
) -> None:
    log_now(engine, "bad", DAY, "nope")
    log_now(engine, "good", folded, "i1")
    assert late(engine, folded) == {DAY: 1, folded: 1}
    assert late(engine, fold(2)) == {folded: 1}


def test_deleted_answers_are_seen_when_others_arrive(engine: sa.Engine, folded: date) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM calibration.response_log WHERE session_id = 's0'"))
    assert late(engine, folded) == {}
    log_now(engine, "late", DAY, "i3")
    assert late(engine, folded) == {DAY: 0}


def test_what_counts_is_the_revision_that_the_chain_of_the_state_folded(
    engine: sa.Engine, folded: date, fold: Fold
) -> None:
    """A re-run folded the newer revision; the night after it still starts from the first try."""
    log_now(engine, "late", folded)
    with_late = fold(2)
    fold(1, attempt=2)
    assert late(engine, with_late) == {folded: 2}
    assert late(engine, folded) == {}


def test_a_search_goes_on_where_the_last_one_ended(engine: sa.Engine, folded: date) -> None:
    with engine.connect() as connection:
        assert days_behind(connection, NativeView(connection, ZURICH)) == []
    log_now(engine, "late", DAY)
    with engine.connect() as connection:
        assert days_behind(connection, NativeView(connection, ZURICH)) == [DAY]
    record_search(engine, start_search(engine))
    with engine.connect() as connection:
        # A transaction may have begun before the search and ended after it.
        assert days_behind(connection, NativeView(connection, ZURICH)) == [DAY]
    record_search(engine, start_search(engine) + timedelta(days=1, seconds=1))
    with engine.connect() as connection:
        assert days_behind(connection, NativeView(connection, ZURICH)) == []


def test_a_search_ends_when_what_it_found_is_extracted(
    engine: sa.Engine, archive: Archive, folded: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that dies on its way must not make the next one pass over the rest."""
    before = checks(engine)
    log_now(engine, "late", DAY)
    due = (engine, archive, ZURICH, KEY, after(4), WINDOW, folded)
    with monkeypatch.context() as broken:
        broken.setattr(Archive, "write_day", lambda *_: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            extract_days_due(*due)
    assert checks(engine) == before
    extract_days_due(*due)
    assert len(checks(engine)) == len(before) + 1
    assert newest_revisions(engine, [DAY])[DAY].revision == 2


def test_after_a_gap_every_day_that_is_yet_to_be_folded_is_looked_at(
    engine: sa.Engine, archive: Archive, folded: date, extract: Extract
) -> None:
    night = after(9)
    for number in range(2, 10):
        extract(after(number))
    arguments = (engine, archive, ZURICH, night, WINDOW, folded)
    assert days_due(*arguments) == []
    with engine.begin() as connection:
        for name in ("s0", "s1", "s2"):
            connection.execute(
                sa.text("DELETE FROM calibration.response_log WHERE session_id = :s"), {"s": name}
            )
    assert days_due(*arguments) == [after(2)]
    assert days_due(*arguments, refresh=True) == [after(n) for n in range(2, 9)]
    assert days_due(*arguments[:5], None, refresh=True) == [after(8)]


def test_refresh_leaves_out_days_before_the_first_that_have_no_answers(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    """Empty revisions of them would change the window of a night, and so its state."""
    extract(after(2))
    log_now(engine, "s1", DAY)
    due = days_due(engine, archive, ZURICH, after(3), 7, None, refresh=True)
    assert due == [DAY, after(2)]


def test_where_nothing_came_no_answer_is_read(engine: sa.Engine, folded: date) -> None:
    """The planner takes the index on late arrivals, whose condition the query must repeat."""
    live = session("live", noon(DAY), "i1 " * 5000)
    log(engine, [row | {"ingested_at": row["session_started_at"]} for row in live])
    with engine.begin() as connection:
        connection.execute(sa.text("ANALYZE calibration.response_log"))
    plans: list[str] = []

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "AS latest_ingested_at" in statement and "EXPLAIN" not in statement:
            raw = connection.connection.driver_connection.execute(
                f"EXPLAIN {statement}", parameters
            )
            plans.append("\n".join(row[0] for row in raw))

    pass_over_what_came(engine)
    sa.event.listen(engine, "before_cursor_execute", explain)
    with engine.connect() as connection:
        days_behind(connection, NativeView(connection, ZURICH))
    (plan,) = plans
    assert "response_log_late_ingested_at_idx" in plan


def checks(engine: sa.Engine) -> list[datetime]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(source_checks.c.checked_through)))
