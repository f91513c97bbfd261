"""Retention: what is past its period goes, in full, and nothing that a night still needs."""

import os
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import (
    LockHeldError,
    LockLostError,
    NightBlockedError,
    RetentionBlockedError,
)
from calibration_pipeline.store import abilities, retention
from calibration_pipeline.store.archive import ORPHAN_AGE, Archive
from calibration_pipeline.store.deletions import IS_DELETED, retention_cut
from calibration_pipeline.store.due_days import days_due
from calibration_pipeline.store.extraction import read_day
from calibration_pipeline.store.late_answers import days_behind, late_answers
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.pseudonyms import pseudonyms_of
from calibration_pipeline.store.retention import (
    Expired,
    delete_expired,
    find_expired,
    retention_start,
)
from calibration_pipeline.store.sources.native import NativeView
from calibration_pipeline.store.tables import (
    archive_deletions,
    archive_revisions,
    candidate_abilities,
    candidate_map,
    response_log,
    retention_runs,
)
from calibration_pipeline_tests.store.answers import DAY, KEY, ZURICH, Extract
from calibration_pipeline_tests.store.privacy import (
    BAD,
    Killed,
    a_week,
    accept_night,
    after,
    count,
    files,
    log_people,
    names_in_archive,
    recorded,
    turn_of_a_lost_run,
)
from calibration_pipeline_tests.store.test_abilities import ABILITIES
from calibration_pipeline_tests.store.test_late_answers import log_now

__all__ = ["a_week"]

CUT = after(3)


def delete(engine: sa.Engine, archive: Archive, before: date = CUT) -> Expired:
    with CalibrationLock(engine, "a test") as lock:
        return delete_expired(lock, archive, before, ZURICH)


@pytest.fixture
def folded(engine: sa.Engine, a_week: None, run_id: str) -> None:
    """A week of which the newest accepted night has folded the first three days."""
    accept_night(engine, run_id, after(6), folded_through=after(2))


def names(engine: sa.Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.scalars(sa.select(candidate_map.c.candidate_id)))


def test_what_is_older_goes_from_the_log_the_archive_and_the_map(
    engine: sa.Engine, archive: Archive, folded: None
) -> None:
    assert len(files(archive)) == 14  # answers and quarantine
    expired = delete(engine, archive)
    assert expired == Expired(
        answers=3 * 9, abilities=0, archived_revisions=3, candidates=1, drafts=0, files=0
    )
    assert len(files(archive)) == 8
    with engine.connect() as connection:
        first = connection.scalar(sa.select(sa.func.min(response_log.c.session_started_at)))
    assert first.astimezone(ZURICH).date() == CUT
    assert names(engine) == {"bob", "cid", "bad"}  # ann came on the first day alone
    assert pseudonyms_of(KEY, "candidate", ["ann"])[0] not in names_in_archive(archive)
    assert read_day(engine, archive, CUT).revision.response_count == 6


def test_a_dry_run_counts_the_same_and_changes_nothing(
    engine: sa.Engine, archive: Archive, folded: None
) -> None:
    before = files(archive)
    told: list[tuple[str, int, int]] = []
    counted = find_expired(engine, archive, CUT, ZURICH, lambda *step: told.append(step))
    assert [step[1:] for step in told if "files that go" in step[0]] == [(n, 6) for n in range(6)]
    assert (files(archive), count(engine, response_log)) == (before, 7 * 9)
    assert count(engine, retention_runs) == count(engine, archive_deletions) == 0
    assert delete(engine, archive) == counted


def test_each_deletion_is_recorded_and_an_idle_one_is_not(
    engine: sa.Engine, archive: Archive, folded: None
) -> None:
    expired = delete(engine, archive)
    assert not delete(engine, archive).is_recorded
    with engine.connect() as connection:
        (run,) = connection.execute(sa.select(retention_runs))
    assert (run.deleted_before, run.counts["answers"]) == (CUT, expired.answers)


def test_a_day_begins_at_local_midnight(
    engine: sa.Engine, archive: Archive, extract: Extract, run_id: str
) -> None:
    log_people(engine, DAY, "day before")
    log_people(engine, DAY, "midnight", session_started_at=datetime(2026, 3, 11, tzinfo=ZURICH))
    for day in (DAY, after(1)):
        extract(day)
    accept_night(engine, run_id, after(5), folded_through=after(1))
    delete(engine, archive, after(1))
    assert names(engine) == {"midnight"}


def test_somebody_who_is_in_kept_files_alone_stays_in_the_map(
    engine: sa.Engine, archive: Archive, folded: None
) -> None:
    """The source may keep its answers for a shorter time than the archive does."""
    with engine.begin() as connection:
        connection.execute(sa.delete(response_log))
    delete(engine, archive)
    assert names(engine) == {"bob", "cid", "bad"}


@pytest.mark.parametrize("folded_through", [None, after(1)])
def test_days_that_a_night_still_needs_are_not_cut_into(
    engine: sa.Engine, archive: Archive, a_week: None, run_id: str, folded_through: date | None
) -> None:
    if folded_through is not None:
        accept_night(engine, run_id, after(6), folded_through)
    for act in (delete, lambda e, a: find_expired(e, a, CUT, ZURICH)):
        with pytest.raises(RetentionBlockedError, match="still needed"):
            act(engine, archive)
    assert (count(engine, response_log), len(files(archive))) == (63, 14)
    assert count(engine, retention_runs) == 0


def test_a_database_without_old_answers_needs_no_night(engine: sa.Engine, archive: Archive) -> None:
    assert not delete(engine, archive).is_recorded


def test_whatever_is_left_by_a_crash_goes_with_the_next_deletion(
    engine: sa.Engine, archive: Archive, folded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the record and the files, which is the only place where both differ."""
    killed_before_the_files_go(engine, archive, monkeypatch)
    with pytest.raises(NightBlockedError, match="have been deleted"):
        read_day(engine, archive, DAY)
    assert delete(engine, archive) == Expired(0, 0, 0, 0, 0, files=6)
    assert len(files(archive)) == 8


def killed_before_the_files_go(
    engine: sa.Engine, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(connection: sa.Connection, _: Archive) -> int:
        if connection.scalar(sa.select(sa.func.count()).select_from(archive_deletions)):
            raise Killed
        return 0

    with monkeypatch.context() as patched:
        patched.setattr(retention, "finish_deletions", killed)
        with pytest.raises(Killed):
            delete(engine, archive)
    assert len(files(archive)) == 14


def test_what_is_left_by_a_crash_goes_even_where_the_next_deletion_is_blocked(
    engine: sa.Engine, archive: Archive, folded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_files_go(engine, archive, monkeypatch)
    with pytest.raises(RetentionBlockedError):
        delete(engine, archive, after(5))
    assert len(files(archive)) == 8


def test_a_deletion_that_fails_before_its_end_deletes_nothing(
    engine: sa.Engine, archive: Archive, folded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(retention, "asdict", lambda _: {"answers": object()})
        with pytest.raises(TypeError):
            delete(engine, archive)
    assert (count(engine, response_log), len(files(archive))) == (63, 14)
    assert count(engine, archive_deletions) == 0


def test_orphans_go_when_they_are_older_than_an_extraction_can_be(
    engine: sa.Engine, archive: Archive, folded: None
) -> None:
    folder = archive.location.path("responses") / f"day={after(6)}"
    old, young = folder / ".writing-old", folder / "revision-0009-young.parquet"
    for path in (old, young):
        path.write_bytes(b"of a killed extraction")
    long_ago = time.time() - ORPHAN_AGE.total_seconds() - 60
    os.utime(old, (long_ago, long_ago))
    assert delete(engine, archive).files == 1
    assert not old.exists()
    assert young.exists()


def test_abilities_of_earlier_nights_go(engine: sa.Engine, archive: Archive, folded: None) -> None:
    for night in (after(2), after(3)):
        abilities.write_abilities(engine, night, None, ABILITIES)
    assert delete(engine, archive).abilities == 2
    with engine.connect() as connection:
        kept = connection.scalars(sa.select(candidate_abilities.c.partition)).all()
    assert set(kept) == {after(3)}


def test_no_night_runs_at_the_same_time(engine: sa.Engine, archive: Archive, folded: None) -> None:
    with CalibrationLock(engine, "a night"), pytest.raises(LockHeldError):
        delete(engine, archive)


def test_a_deletion_that_lost_the_lock_deletes_nothing(
    engine: sa.Engine, archive: Archive, folded: None
) -> None:
    with CalibrationLock(engine, "slow") as lock:
        with engine.begin() as connection:
            connection.execute(
                sa.text("UPDATE calibration.publication_fence SET token = token + 1")
            )
        with pytest.raises(LockLostError):
            delete_expired(lock, archive, CUT, ZURICH)
    assert (count(engine, response_log), len(files(archive))) == (63, 14)


def test_a_deletion_waits_for_no_run_that_lost_the_lock(
    engine: sa.Engine, archive: Archive, folded: None
) -> None:
    """Such a run has its turn and waits for the fence, which the deletion has: no way out."""
    with turn_of_a_lost_run(engine):
        assert delete(engine, archive).archived_revisions == 3


# Links to people


def test_more_links_go_than_a_statement_takes_parameters(
    engine: sa.Engine, archive: Archive, folded: None
) -> None:
    with engine.begin() as connection:
        for statement in (
            "INSERT INTO calibration.candidate_map (pseudonym, candidate_id) "
            "SELECT decode(md5(n::text), 'hex'), 'old ' || n FROM generate_series(1, 66000) AS n",
            "INSERT INTO calibration.candidate_abilities (partition, scale, session_pseudonym, "
            "candidate_pseudonym, theta, theta_se, response_count) "
            "SELECT '2026-03-01', 'main', pseudonym, pseudonym, 0, 1, 1 "
            "FROM calibration.candidate_map WHERE candidate_id LIKE 'old %'",
        ):
            connection.execute(sa.text(statement))
    expired = delete(engine, archive)
    assert (expired.candidates, expired.abilities) == (66_001, 66_000)
    assert names(engine) == {"bob", "cid", "bad"}


def test_somebody_with_kept_abilities_stays_in_the_map(
    engine: sa.Engine, archive: Archive, folded: None
) -> None:
    ann = pseudonyms_of(KEY, "candidate", ["ann"])[0]
    ours = replace(ABILITIES, candidate_pseudonyms=np.frombuffer(ann * 2, "V16"))
    abilities.write_abilities(engine, after(3), None, ours)
    assert delete(engine, archive).candidates == 0
    assert "ann" in names(engine)


def test_the_log_is_asked_for_nobody_and_who_comes_again_is_linked_again(
    engine: sa.Engine, archive: Archive, extract: Extract, folded: None
) -> None:
    """It has no index by candidate, and a deletion runs every day, with the lock."""
    log_people(engine, after(7), "ann")
    sent: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *a: sent.append(a[2]))
    assert delete(engine, archive).candidates == 1
    asked = [statement for statement in sent if "response_log" in statement]
    assert len(asked) >= 2
    assert not any("candidate_id" in statement for statement in asked)
    assert "ann" not in names(engine)
    extract(after(7))
    assert "ann" in names(engine)


@pytest.mark.parametrize("content", [b"damaged", None])
def test_whom_an_unreadable_file_held_is_found_all_the_same(
    engine: sa.Engine, archive: Archive, folded: None, content: bytes | None
) -> None:
    path = archive.location.path(recorded(engine, DAY)[0].file_name)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert delete(engine, archive).candidates == 1
    assert names(engine) == {"bob", "cid", "bad"}
    assert not path.exists()


# A pause: nothing has come since the newest night


def test_after_a_pause_the_nights_go_on(
    engine: sa.Engine, archive: Archive, extract: Extract, a_week: None, run_id: str
) -> None:
    """Days without answers are past their period as well; there was nothing of them to delete."""
    extract(after(8))
    accept_night(engine, run_id, after(9), folded_through=after(6))
    assert delete(engine, archive, after(60)).archived_revisions == 7
    with engine.connect() as connection:
        assert retention_cut(connection) == after(7)
    assert extract(after(8)).revision == 1
    assert extract(after(9)).response_count == 0
    due = days_due(engine, archive, ZURICH, after(80), 3, after(6))
    assert min(due) == after(7)  # days that no run has extracted
    with pytest.raises(NightBlockedError, match=f"answers of {after(6)} have been deleted"):
        extract(after(6))


def test_before_the_first_night_no_day_counts_as_deleted(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    abilities.write_abilities(engine, DAY, None, ABILITIES)
    assert delete(engine, archive, after(60)).abilities == 2
    assert count(engine, retention_runs) == 1
    log_people(engine, DAY, "ann")  # an import of older answers
    assert days_due(engine, archive, ZURICH, after(1), 3, None) == [DAY]
    assert extract(DAY).response_count == 3


def test_bad_rows_of_a_day_that_is_yet_to_be_folded_are_not_cut_into(
    engine: sa.Engine, archive: Archive, extract: Extract, folded: None, run_id: str
) -> None:
    log_people(engine, after(8), "bad", **BAD)
    assert extract(after(8)).response_count == 0
    accept_night(engine, run_id, after(10), folded_through=after(7))
    with engine.begin() as connection:
        connection.execute(sa.delete(response_log))  # the source keeps them for a shorter time
    with pytest.raises(RetentionBlockedError):
        delete(engine, archive, after(9))


# What a deleted day is, for whoever asks for it


@pytest.fixture
def deleted(engine: sa.Engine, archive: Archive, folded: None) -> None:
    delete(engine, archive)


@pytest.mark.parametrize("refresh", [False, True])
def test_a_deleted_day_never_becomes_an_empty_one(
    engine: sa.Engine, archive: Archive, extract: Extract, deleted: None, refresh: bool
) -> None:
    for day in (DAY, after(2), DAY - timedelta(days=30)):
        with pytest.raises(NightBlockedError, match=f"the answers of {day} have been deleted"):
            extract(day, refresh=refresh)
    assert len(recorded(engine, DAY)) == 1
    assert extract(CUT, refresh=refresh).response_count == 6


@pytest.mark.parametrize("revision", [None, 1])
def test_reading_a_deleted_day_says_so_in_one_line(
    engine: sa.Engine, archive: Archive, deleted: None, revision: int | None
) -> None:
    with pytest.raises(NightBlockedError, match="have been deleted") as refusal:
        read_day(engine, archive, DAY, revision)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("refresh", [False, True])
def test_a_night_that_needs_a_deleted_day_is_blocked(
    engine: sa.Engine, archive: Archive, deleted: None, refresh: bool
) -> None:
    def due(night: date, folded_through: date | None) -> list[date]:
        return days_due(engine, archive, ZURICH, night, 3, folded_through, refresh=refresh)

    with pytest.raises(NightBlockedError, match=f"the night of {after(4)} needs"):
        due(after(4), None)
    with pytest.raises(NightBlockedError, match=f"needs the answers of {after(2)}"):
        due(after(6), after(1))
    assert min(due(after(6), after(2)), default=CUT) >= CUT


def test_answers_that_arrive_for_a_deleted_day_are_nobodys_work(
    engine: sa.Engine, archive: Archive, extract: Extract, deleted: None
) -> None:
    log_now(engine, "late", DAY)
    with engine.connect() as connection:
        assert days_behind(connection, NativeView(connection, ZURICH)) == []
    assert late_answers(engine, after(2), ZURICH) == ()
    assert days_due(engine, archive, ZURICH, after(6), 3, after(2)) == []
    assert delete(engine, archive).answers == 2


def test_the_cut_only_moves_forward(engine: sa.Engine, archive: Archive, deleted: None) -> None:
    log_people(engine, DAY, "late")
    delete(engine, archive, after(1))
    with engine.connect() as connection:
        assert retention_cut(connection) == CUT
        is_kept = sa.select(archive_revisions.c.day).where(~IS_DELETED)
        assert set(connection.scalars(is_kept)) == {after(n) for n in (3, 4, 5, 6)}


def test_the_cut_is_a_local_day() -> None:
    just_after_midnight = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    assert retention_start(just_after_midnight, 400, ZURICH) == date(2026, 7, 2) - timedelta(400)
