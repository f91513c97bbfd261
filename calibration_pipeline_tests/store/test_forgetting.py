"""Forgetting and erasing candidates: what goes, what stays, and that they don't come back."""

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import (
    BadInputError,
    DiskFullError,
    LockHeldError,
    NightBlockedError,
    UnknownCandidateError,
)
from calibration_pipeline.store import abilities, forgetting, states
from calibration_pipeline.store import archive_folder as archive_module
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.archive_format import ARCHIVE_SCHEMA, PSEUDONYM
from calibration_pipeline.store.deletions import nights_touched_by_erasure
from calibration_pipeline.store.erasure import without
from calibration_pipeline.store.extraction import changed_days, extract_day, read_day
from calibration_pipeline.store.forgetting import Forgetting, Forgotten
from calibration_pipeline.store.late_answers import (
    LateDay,
    archived_late_answers,
    late_answers,
)
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.pseudonyms import pseudonyms_of
from calibration_pipeline.store.retention import delete_expired
from calibration_pipeline.store.suppression import (
    read_remembered,
    remember,
    require_reapplied,
)
from calibration_pipeline.store.tables import (
    archive_deletions,
    candidate_map,
    privacy_acts,
    suppressions,
)
from calibration_pipeline_tests.store.answers import DAY, KEY, NOON, ZURICH, Extract, log, session
from calibration_pipeline_tests.store.examples import state
from calibration_pipeline_tests.store.privacy import (
    Killed,
    a_week,
    accept_night,
    after,
    count,
    files,
    log_people,
    names_in_archive,
    read_bytes,
    recorded,
    tables_with,
    turn_of_a_lost_run,
)
from calibration_pipeline_tests.store.sources.test_scratch_folder import left_by_a_killed_process
from calibration_pipeline_tests.store.test_abilities import ABILITIES

__all__ = ["a_week"]

BOB = pseudonyms_of(KEY, "candidate", ["bob"])[0]
KEPT_LOG = "SELECT count(*) FROM calibration.response_log WHERE candidate_id = 'bob'"


@pytest.fixture
def people(engine: sa.Engine, archive: Archive, tmp_path: Path) -> Forgetting:
    return Forgetting(engine, archive, KEY, tmp_path / "home" / "forgotten", "a test")


def scalar(engine: sa.Engine, query: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sa.text(query)).scalar_one())


# Forgetting: the link to the person


def test_a_forgotten_candidate_is_a_stranger_with_answers(
    engine: sa.Engine, archive: Archive, people: Forgetting, a_week: None
) -> None:
    before = files(archive)
    done = people.forget("bob", erase=False)
    assert done == Forgotten(candidates=1, links=1)
    assert "bob" not in named(engine)
    assert scalar(engine, KEPT_LOG) == 7 * 3
    assert files(archive) == before
    assert BOB in names_in_archive(archive)


def named(engine: sa.Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.scalars(sa.select(candidate_map.c.candidate_id)))


def test_no_later_extraction_links_them_again(
    engine: sa.Engine, extract: Extract, people: Forgetting, a_week: None
) -> None:
    people.forget("bob", erase=False)
    log_people(engine, after(7), "bob", "dora")
    assert extract(after(7)).session_count == 2
    extract(after(6), refresh=True)
    assert named(engine) == {"ann", "cid", "bad", "dora"}


def test_their_abilities_go_and_stay_away(engine: sa.Engine, people: Forgetting) -> None:
    ours = bytes(ABILITIES.candidate_pseudonyms[0])
    with engine.begin() as connection:
        connection.execute(sa.insert(candidate_map).values(pseudonym=ours, candidate_id="zoë"))
    abilities.write_abilities(engine, DAY, None, ABILITIES)
    assert people.forget("zoë", erase=False).abilities == 1
    abilities.write_abilities(engine, DAY, None, ABILITIES)
    assert abilities.read_abilities(engine, DAY).scales == ("main",)


def test_a_link_made_under_an_earlier_key_goes_too(
    engine: sa.Engine, extract: Extract, people: Forgetting, a_week: None
) -> None:
    extract(after(6), key=b"x" * 32, refresh=True)
    assert people.forget("bob", erase=False).links == 2
    assert "bob" not in named(engine)


def test_somebody_in_the_log_alone_can_be_forgotten_before_the_first_night(
    engine: sa.Engine, extract: Extract, people: Forgetting
) -> None:
    log_people(engine, DAY, "early")
    assert people.forget("early", erase=False) == Forgotten(candidates=1)
    extract()
    assert named(engine) == set()


@pytest.mark.parametrize("erase", [False, True])
def test_somebody_unknown_is_refused_and_nothing_written(
    engine: sa.Engine, people: Forgetting, a_week: None, erase: bool
) -> None:
    with pytest.raises(UnknownCandidateError) as refusal:
        people.forget("nobody", erase=erase)
    assert "nobody" not in str(refusal.value).replace("nothing", "")
    assert count(engine, suppressions) == count(engine, privacy_acts) == 0
    assert not people.remembered.exists()


def test_acts_are_logged_without_the_id_and_once(
    engine: sa.Engine, people: Forgetting, a_week: None
) -> None:
    first = people.forget("bob", erase=False)
    assert people.forget("bob", erase=False) == Forgotten()
    second = people.forget("bob", erase=True)
    with engine.connect() as connection:
        query = sa.select(privacy_acts).order_by(privacy_acts.c.act_id)
        acts = connection.execute(query).all()
    assert [(a.act, a.decided_by, a.counts) for a in acts] == [
        ("forget", "a test", asdict(first)),
        ("erase", "a test", asdict(second)),
    ]


# Erasing: the answers


def test_an_erased_candidate_is_in_nothing(
    engine: sa.Engine, archive: Archive, people: Forgetting, a_week: None, tmp_path: Path
) -> None:
    done = people.forget("bob", erase=True)
    assert done == Forgotten(
        candidates=1, links=1, answers=21, archived_days=7, archived_revisions=7,
        archived_sessions=7, archived_answers=21,
    )  # fmt: skip
    assert BOB not in names_in_archive(archive)
    assert tables_with(engine, "bob") == set()
    assert tables_with(engine, BOB.hex()) == {"suppressions"}
    assert b"bob" not in read_bytes(tmp_path / "home")


def test_what_is_left_is_what_the_log_without_them_would_give(
    engine: sa.Engine, archive: Archive, extract: Extract, people: Forgetting, tmp_path: Path
) -> None:
    for name, hour in (("cid", 12), ("bob", 13), ("ann", 14), ("cid", 15), ("bad", 16)):
        start = f"2026-03-10T{hour}:00:00+01:00"
        changes = {"score": None} if name == "bad" else {"time_on_task_ms": hour}
        log(engine, session(f"{name} at {hour}", start, candidate=name, **changes))
    extract()
    people.forget("bob", erase=True)
    (_, replacement) = recorded(engine, DAY)
    fresh = extract(refresh=True)
    assert (fresh.revision, fresh.digest) == (2, replacement.digest)
    assert replacement.quarantine_counts == {"null_score": 3}
    assert (replacement.session_count, replacement.response_count) == (3, 9)
    elsewhere = Archive(tmp_path / "elsewhere")
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM calibration.suppressions"))
    assert extract_day(engine, elsewhere, DAY, ZURICH, KEY, refresh=True).digest == fresh.digest
    assert changed_days(engine, archive, DAY, DAY, ZURICH) == []


def test_leaving_out_nobody_changes_no_byte(
    engine: sa.Engine, archive: Archive, a_week: None
) -> None:
    (row,) = recorded(engine, DAY)
    table = archive.read(row.file_name)
    same = without(table, pa.array([b"n" * 16], PSEUDONYM))
    assert same.equals(table.select(ARCHIVE_SCHEMA.names).cast(ARCHIVE_SCHEMA))


def test_files_of_every_revision_and_of_the_quarantine_go(
    engine: sa.Engine, archive: Archive, extract: Extract, people: Forgetting
) -> None:
    log_people(engine, DAY, "bob", "ann")
    extract()
    log(engine, session("bad one of bob", NOON, candidate="bob", score=9))
    log_people(engine, DAY, "late")
    extract()
    names_before = files(archive)
    done = people.forget("bob", erase=True)
    assert (done.archived_days, done.archived_revisions, done.archived_answers) == (1, 2, 3)
    assert not names_before & files(archive)
    *_, three, four = recorded(engine, DAY)
    assert (three.response_count, four.response_count) == (3, 6)
    assert (three.quarantine_file_name, four.quarantine_file_name) == (None, None)
    assert files(archive) == {three.file_name, four.file_name}
    with engine.connect() as connection:
        rows = connection.execute(sa.select(archive_deletions)).all()
    assert [(r.revision, r.cause, r.replaced_by) for r in rows] == [
        (1, "erasure", 3),
        (2, "erasure", 4),
    ]


def test_the_newest_revision_stays_the_newest_where_an_older_one_held_them(
    engine: sa.Engine, archive: Archive, extract: Extract, people: Forgetting
) -> None:
    log_people(engine, DAY, "bob", "ann")
    extract()
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM calibration.response_log WHERE candidate_id='bob'"))
    log_people(engine, DAY, "late", score=1)
    newest = extract()
    people.forget("bob", erase=True)
    assert read_day(engine, archive, DAY).revision.digest == newest.digest
    assert read_day(engine, archive, DAY, 2).revision.revision == 2
    assert extract(refresh=True).digest == newest.digest


def test_a_replaced_revision_is_read_as_what_stands_in_its_place(
    engine: sa.Engine, archive: Archive, people: Forgetting, a_week: None
) -> None:
    people.forget("bob", erase=True)
    people.forget("cid", erase=True)
    day = read_day(engine, archive, after(1), 1)
    assert (day.revision.revision, day.revision.session_count) == (3, 0)
    assert read_day(engine, archive, after(1)).revision == day.revision


def test_they_are_left_out_of_whatever_comes_later_and_counted(
    engine: sa.Engine, archive: Archive, extract: Extract, people: Forgetting, a_week: None
) -> None:
    people.forget("bob", erase=True)
    log_people(engine, after(7), "bob", "ann")
    log(engine, session("bad", f"{after(7)}T18:00:00+01:00", candidate="bob", score=5))
    revision = extract(after(7))
    assert (revision.session_count, revision.quarantine_counts) == (1, {})
    query = "SELECT erased_sessions FROM calibration.source_observations WHERE day = '%s'"
    assert scalar(engine, query % after(7)) == 2
    assert BOB not in names_in_archive(archive)
    assert named(engine) == {"ann", "cid", "bad"}


def test_a_day_of_erased_candidates_alone_is_empty(
    engine: sa.Engine, archive: Archive, extract: Extract, people: Forgetting
) -> None:
    log_people(engine, DAY, "bob")
    extract()
    people.forget("bob", erase=True)
    log_people(engine, DAY, "bob")
    assert extract(refresh=True).response_count == 0
    assert len(recorded(engine, DAY)) == 2
    assert read_day(engine, archive, DAY).keys == ()


def test_nights_that_used_what_was_erased_are_marked(
    engine: sa.Engine, people: Forgetting, a_week: None, run_id: str
) -> None:
    def used(*numbers: int) -> tuple[tuple[date, int, str], ...]:
        return tuple((after(n), 1, "digest") for n in numbers)

    example = state(after(6), parent=None)
    for night in (
        replace(example, window=used(5, 6), folded=used(0)),
        replace(example, partition=after(20), window=used(9), folded=()),
        replace(example, partition=after(21), window=used(9), folded=used(3)),
    ):
        states.write_state(engine, night, run_id)
    people.forget("ann", erase=True)
    with engine.connect() as connection:
        (touched,) = nights_touched_by_erasure(connection)
    assert (touched.partition, touched.version, touched.days) == (after(6), None, (DAY,))
    people.forget("bob", erase=True)
    with engine.connect() as connection:
        found = nights_touched_by_erasure(connection)
    assert [(n.partition, n.days) for n in found] == [
        (after(6), (DAY, after(5), after(6))),
        (after(21), (after(3),)),
    ]


def test_a_night_that_was_run_again_without_them_is_marked_no_more(
    engine: sa.Engine, people: Forgetting, a_week: None, run_id: str
) -> None:
    def touched() -> list[tuple[date, int]]:
        with engine.connect() as connection:
            return [(n.partition, n.attempt) for n in nights_touched_by_erasure(connection)]

    def run(attempt: int, revision: int, *, is_accepted: bool = True) -> None:
        night = state(after(6), parent=None, folded=())
        window = ((after(5), revision, "digest"),)
        again = replace(night, attempt=attempt, window=window, is_accepted=is_accepted)
        states.write_state(engine, again, run_id)

    run(1, revision=1)
    people.forget("bob", erase=True)
    run(2, revision=2, is_accepted=False)
    assert touched() == [(after(6), 1)]
    run(3, revision=2)
    assert touched() == []


def fold_second_day(engine: sa.Engine, run_id: str) -> None:
    root = state(after(5), folded_through=after(0), parent=None)
    (row,) = recorded(engine, after(1))
    night = replace(
        root, partition=after(6), folded_through=after(1), parent=(after(5), 1),
        folded=((after(1), 1, row.digest),),
    )  # fmt: skip
    for each in (root, night):
        states.write_state(engine, each, run_id)


def test_what_was_taken_out_of_a_folded_day_is_not_late(
    engine: sa.Engine, extract: Extract, people: Forgetting, a_week: None, run_id: str
) -> None:
    fold_second_day(engine, run_id)
    assert archived_late_answers(engine, after(1)) == ()
    people.forget("bob", erase=True)
    assert archived_late_answers(engine, after(1)) == ()
    log_people(engine, after(1), "late")
    extract(after(1))
    people.forget("cid", erase=True)
    assert archived_late_answers(engine, after(1)) == (LateDay(after(1), 3),)


def test_what_was_erased_does_not_pass_for_a_correction_of_the_log(
    engine: sa.Engine, extract: Extract, people: Forgetting, a_week: None, run_id: str
) -> None:
    """All of it was logged late, as an import is, so that its days are compared row by row."""
    fold_second_day(engine, run_id)
    people.forget("bob", erase=True)
    assert late_answers(engine, after(1), ZURICH) == ()
    log_people(engine, after(1), "late")
    found = (LateDay(after(1), 3),)
    assert late_answers(engine, after(1), ZURICH) == found
    people.forget("cid", erase=True)
    (day,) = late_answers(engine, after(1), ZURICH)
    assert day.day == after(1)
    extract(after(1))
    assert late_answers(engine, after(1), ZURICH) == found


def test_an_erased_day_past_its_retention_period_goes_like_any_other(
    engine: sa.Engine, archive: Archive, people: Forgetting, a_week: None, run_id: str
) -> None:
    accept_night(engine, run_id, after(6), folded_through=after(2))
    people.forget("bob", erase=True)
    with CalibrationLock(engine, "a test") as lock:
        assert delete_expired(lock, archive, after(3), ZURICH).archived_revisions == 3
    with pytest.raises(NightBlockedError, match="have been deleted"):
        read_day(engine, archive, DAY, 1)


# Crashes, and restored backups


def test_an_erasure_killed_before_its_files_went_is_finished_by_doing_it_again(
    engine: sa.Engine,
    archive: Archive,
    people: Forgetting,
    a_week: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(forgetting, "finish_deletions", kill)
        with pytest.raises(Killed):
            people.forget("bob", erase=True)
    assert BOB in names_in_archive(archive)
    assert people.forget("bob", erase=True) == Forgotten()
    assert BOB not in names_in_archive(archive)
    assert count(engine, privacy_acts) == 1


def kill(*_: object, **__: object) -> None:
    raise Killed


@pytest.mark.parametrize(
    "place", ["Forgetting._remove", "suppression.suppress", "suppression.remember"]
)
def test_an_erasure_killed_before_the_commit_did_nothing_and_can_be_done_again(
    engine: sa.Engine,
    archive: Archive,
    people: Forgetting,
    a_week: None,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(f"calibration_pipeline.store.forgetting.{place}", kill)
        with pytest.raises(Killed):
            people.forget("bob", erase=True)
    assert scalar(engine, KEPT_LOG) == 21
    assert read_day(engine, archive, DAY).revision.revision == 1
    assert people.forget("bob", erase=True).archived_days == 7
    assert BOB not in names_in_archive(archive)


def test_an_erasure_takes_along_what_killed_extractions_have_left_of_them(
    engine: sa.Engine, archive: Archive, people: Forgetting, a_week: None
) -> None:
    """However young: nobody else can be writing there. What can't be searched may hold them."""
    first = archive.location.path(recorded(engine, after(1))[0].file_name)
    theirs, cut_short = first.with_name("revision-0009-x.parquet"), first.with_name(".writing-1")
    theirs.write_bytes(first.read_bytes())
    cut_short.write_bytes(first.read_bytes()[:-50])
    anothers = first.with_name("revision-0009-y.parquet")
    table = archive.read(first.relative_to(archive.location.path("")).as_posix())
    names = table["candidate_pseudonym"].to_pylist()
    pq.write_table(table.filter(pa.array([name != BOB for name in names])), anothers)
    people.forget("bob", erase=False)
    assert {theirs, cut_short, anothers} <= set(first.parent.iterdir())
    people.forget("bob", erase=True)
    assert not {theirs, cut_short} & set(first.parent.iterdir())
    assert anothers.exists()


def test_an_act_waits_for_no_run_that_lost_the_lock(
    engine: sa.Engine, people: Forgetting, a_week: None
) -> None:
    with turn_of_a_lost_run(engine):
        assert people.forget("bob", erase=True).archived_days == 7


def test_an_erasure_without_room_for_the_new_files_does_nothing(
    engine: sa.Engine,
    archive: Archive,
    people: Forgetting,
    a_week: None,
    full_disk: Callable[[], None],
) -> None:
    full_disk()
    with pytest.raises(DiskFullError, match="No space left on device"):
        people.forget("bob", erase=True)
    assert scalar(engine, KEPT_LOG) == 21
    assert count(engine, archive_deletions) == count(engine, suppressions) == 0
    assert not any(".writing-" in name for name in files(archive))


def test_acts_are_done_again_after_a_restore(
    engine: sa.Engine, archive: Archive, extract: Extract, people: Forgetting, a_week: None
) -> None:
    """What a backup from before the acts brings back: rows, links, answers, files."""
    people.forget("ann", erase=False)
    people.forget("bob", erase=True)
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM calibration.suppressions"))
    for number in range(7):
        log_people(engine, after(number), "bob")
        extract(after(number), refresh=True)
    assert {"ann", "bob"} <= named(engine)
    assert BOB in names_in_archive(archive)
    forgotten, erased = people.reapply()
    assert (forgotten.candidates, forgotten.links) == (1, 1)
    assert (erased.candidates, erased.answers, erased.archived_days) == (1, 21, 7)
    assert named(engine) == {"cid", "bad"}
    assert BOB not in names_in_archive(archive)
    assert people.reapply() == (Forgotten(), Forgotten())


def test_more_acts_are_done_again_than_a_statement_takes_parameters(
    engine: sa.Engine, people: Forgetting, a_week: None
) -> None:
    ids = [f"old {number}" for number in range(66_000)]
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO calibration.response_log "
                "(session_id, candidate_id, item_id, answered_at, session_started_at) "
                "SELECT 's', id, 'i1', now(), now() FROM unnest(CAST(:ids AS text[])) AS id"
            ),
            {"ids": ids},
        )
    remember(people.remembered, pseudonyms_of(KEY, "candidate", ids), erase=True)
    _, erased = people.reapply()
    assert (erased.candidates, erased.answers) == (66_000, 66_000)
    assert scalar(engine, KEPT_LOG) == 21


@pytest.mark.parametrize("erase", [False, True])
def test_no_night_comes_before_the_acts_that_a_restored_database_lacks(
    engine: sa.Engine, people: Forgetting, a_week: None, erase: bool
) -> None:
    def check() -> None:
        with engine.connect() as connection:
            require_reapplied(connection, people.remembered)

    def restore(statement: str) -> None:
        with engine.begin() as connection:
            connection.execute(sa.text(statement))

    check()
    people.forget("ann", erase=False)
    people.forget("bob", erase=erase)
    check()
    restore(
        "DELETE FROM calibration.suppressions WHERE is_erased = (SELECT bool_or(is_erased)"
        " FROM calibration.suppressions)"
    )
    with pytest.raises(
        NightBlockedError, match="run `calibrate forget --reapply` first"
    ) as refusal:
        check()
    assert f"names {1 if erase else 2} forgotten" in str(refusal.value)
    people.reapply()
    check()
    if erase:
        restore("UPDATE calibration.suppressions SET is_erased = false")
        with pytest.raises(NightBlockedError, match="names 1 forgotten"):
            check()


def test_the_list_of_acts_is_private_and_names_nobody(people: Forgetting, a_week: None) -> None:
    people.forget("ann", erase=False)
    people.forget("bob", erase=False)
    people.forget("bob", erase=True)
    assert people.remembered.stat().st_mode & 0o777 == 0o600
    content = people.remembered.read_text()
    assert content.count("\n") == 3
    assert "bob" not in content
    remembered = read_remembered(people.remembered)
    assert (len(remembered.forgotten), remembered.erased) == (1, {BOB})


def test_a_damaged_list_stops_an_act_before_anything_is_done(
    engine: sa.Engine, people: Forgetting, a_week: None
) -> None:
    people.remembered.parent.mkdir()
    people.remembered.write_text("something else\n")
    with pytest.raises(BadInputError, match="restore it from a copy"):
        people.forget("bob", erase=True)
    assert scalar(engine, KEPT_LOG) == 21


def test_a_night_and_an_act_exclude_each_other(
    engine: sa.Engine, people: Forgetting, a_week: None
) -> None:
    with CalibrationLock(engine, "a night"), pytest.raises(LockHeldError, match="a night"):
        people.forget("bob", erase=False)


def test_an_error_of_the_database_does_not_name_them(
    engine: sa.Engine, people: Forgetting, a_week: None
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE calibration.candidate_abilities"))
    with pytest.raises(sa.exc.ProgrammingError) as failure:
        people.forget("a very secret id", erase=False)
    assert "secret" not in str(failure.value)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make every new file of the archive one on a device that is always full."""

    def fill() -> None:
        real = archive_module.os.open

        def open_full(path: object, *arguments: int) -> int:
            descriptor = real(path, *arguments)
            if ".writing-" not in str(path):
                return descriptor
            archive_module.os.close(descriptor)
            return real("/dev/full", archive_module.os.O_WRONLY)

        monkeypatch.setattr(archive_module.os, "open", open_full)

    return fill


@pytest.mark.parametrize("erase", [False, True])
def test_what_a_killed_run_has_left_in_the_scratch_folder_goes(
    people: Forgetting, tmp_path: Path, a_week: None, erase: bool
) -> None:
    """It holds rows as the source has them, with the candidates' own ids."""
    left = left_by_a_killed_process(tmp_path / "scratch")
    replace(people, scratch=tmp_path / "scratch").forget("bob", erase=erase)
    assert not left.exists()
