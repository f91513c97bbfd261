"""Personal data through whole nights: ids stand where they may, the erased are in nothing."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet
import pytest
from dagster._serdes import serialize_value

from calibration_pipeline.definitions import open_dry_run_store
from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.store.deletions import nights_touched_by_erasure
from calibration_pipeline.store.forgetting import Forgetting
from calibration_pipeline.store.pseudonyms import pseudonyms_of
from calibration_pipeline_tests.programme import FIRST, LAST, NIGHTS, Programme
from calibration_pipeline_tests.store.privacy import names_in_archive, tables_with

SESSION = "the-session-of-a-person"
PERSON = f"candidate of {SESSION}"


def forgetting(programme: Programme) -> Forgetting:
    store = programme.store()
    return Forgetting(
        store.engine,
        store.archive,
        store.pseudonym_key,
        programme.settings.home / "forgotten",
        "a test",
    )


def pseudonym(programme: Programme, candidate: str) -> bytes:
    return pseudonyms_of(programme.store().pseudonym_key, "candidate", [candidate])[0]


def candidate_of(programme: Programme, session: str) -> str:
    query = "SELECT min(candidate_id) FROM calibration.response_log WHERE session_id = :session"
    return str(programme.scalar(query, session=session))


def texts_on_disk(home: Path) -> Iterator[str]:
    """Whatever the home folder holds, Parquet decoded."""
    for path in (path for path in home.rglob("*") if path.is_file()):
        if path.suffix == ".parquet":
            yield str(pyarrow.parquet.read_table(path).to_pylist())
        else:
            yield path.read_bytes().decode("latin-1")


def event_log(programme: Programme) -> str:
    """All that Dagster keeps of its runs."""
    runs = programme.instance.get_runs()
    events = [e for run in runs for e in programme.instance.all_logs(run.run_id)]
    assert len(events) > 20
    return "\n".join(serialize_value(record) for record in (*runs, *events))


def test_an_id_stands_in_the_log_and_the_map_alone(programme: Programme) -> None:
    for number in (0, 1):
        programme.log_like(f"{SESSION}-{number}", NIGHTS[number], candidate_id=f"'{PERSON}'")
    programme.log_like(f"{SESSION}-bad", FIRST, candidate_id=f"'{PERSON}'", score="7")
    assert [n.outcome for n in programme.nights(FIRST, NIGHTS[1])] == ["rejected", "completed"]
    assert tables_with(programme.engine, SESSION) == {"response_log", "candidate_map"}

    def others() -> str:
        return "\n".join([event_log(programme), *texts_on_disk(programme.settings.home)])

    assert SESSION not in others()
    forgetting(programme).forget(PERSON, erase=False)
    assert tables_with(programme.engine, SESSION) == {"response_log"}
    programme.nights(NIGHTS[1], refresh=True)
    assert tables_with(programme.engine, SESSION) == {"response_log"}
    forgetting(programme).forget(PERSON, erase=True)
    programme.nights(NIGHTS[1])
    assert tables_with(programme.engine, SESSION) == set()
    assert SESSION not in others()


def test_nights_go_on_without_an_erased_candidate(calibrated_copy: Programme) -> None:
    """A whole night run again reads what is left; one that never saw them gives the same bytes."""
    programme, day = calibrated_copy, NIGHTS[-2]
    person = candidate_of(programme, f"s{day:%Y%m%d}-00000")
    sessions = (
        "SELECT count(DISTINCT session_id) FROM calibration.response_log WHERE candidate_id = :c"
    )
    assert programme.scalar(sessions, c=person) == 1
    before, early = programme.state(LAST), programme.state(NIGHTS[3])
    done = forgetting(programme).forget(person, erase=True)
    assert done.archived_days == 1
    assert pseudonym(programme, person) not in names_in_archive(programme.store().archive)
    with programme.engine.connect() as connection:
        touched = nights_touched_by_erasure(connection)
    assert [(n.partition, n.days) for n in touched] == [(day, (day,)), (LAST, (day,))]
    assert all(night.version for night in touched)
    assert programme.night(NIGHTS[3]).outcome == "completed"
    assert programme.state(NIGHTS[3]).digest == early.digest
    assert [n.outcome for n in programme.nights(day, LAST)] == ["completed", "completed"]
    after = programme.state(LAST)
    assert after.digest != before.digest
    assert before.window_counts.sum() - after.window_counts.sum() == done.archived_answers > 0
    assert {d: r for d, r, _ in after.window}[day] == 2
    theirs = "SELECT count(*) FROM calibration.candidate_abilities WHERE candidate_pseudonym = :p"
    assert programme.scalar(theirs, p=pseudonym(programme, person)) == 0
    assert programme.store().late_answers(LAST) == ()


@pytest.mark.slow
def test_a_rebuilt_night_does_not_go_back_behind_the_late_answers_that_it_used(
    calibrated_copy: Programme,
) -> None:
    """Each revision has its own replacement; the night before may have used an older one."""
    programme, day = calibrated_copy, NIGHTS[-2]
    person = candidate_of(programme, f"s{day:%Y%m%d}-00000")
    late = programme.log_like("late", day)
    programme.night(LAST)  # `LAST` keeps to what it used
    programme.night(LAST, refresh=True)
    used = programme.state(LAST).window_counts.sum()
    done = forgetting(programme).forget(person, erase=True)
    assert done.archived_revisions == 2
    programme.nights(day, LAST)
    revisions = {d: r for d, r, _ in programme.state(day).window}
    later = {d: r for d, r, _ in programme.state(LAST).window}
    assert (revisions[day], later[day]) == (3, 4)
    assert used - programme.state(LAST).window_counts.sum() == done.archived_answers
    assert late > 0


@pytest.mark.slow
def test_a_rebuilt_night_does_not_go_back_to_an_older_revision_for_having_been_rewritten(
    calibrated_copy: Programme,
) -> None:
    """What stands in the place of an older revision is numbered after a newer one that is kept."""
    programme, day = calibrated_copy, NIGHTS[-2]
    person = candidate_of(programme, f"s{day:%Y%m%d}-00000")
    programme.execute("DELETE FROM calibration.response_log WHERE candidate_id = :c", c=person)
    programme.night(day, refresh=True)
    newer = programme.state(day).window[-1]
    assert [state.window[-2][:2] for state in (programme.state(LAST),)] == [(day, 1)]
    assert newer[:2] == (day, 2)
    assert forgetting(programme).forget(person, erase=True).archived_revisions == 1
    assert programme.store().kept_revision(day, 1) == 3
    programme.night(LAST)
    assert programme.state(LAST).window[-2] == newer


def test_a_restored_night_is_blocked_until_the_acts_are_done_again(
    calibrated_copy: Programme,
) -> None:
    programme, tonight = calibrated_copy, LAST + timedelta(days=1)
    acts = forgetting(programme)
    acts.forget(candidate_of(programme, f"s{LAST:%Y%m%d}-00000"), erase=True)
    programme.execute("DELETE FROM calibration.suppressions")
    with pytest.raises(NightBlockedError, match="run `calibrate forget --reapply` first"):
        programme.run(tonight)
    with pytest.raises(NightBlockedError, match="run `calibrate forget --reapply` first"):
        open_dry_run_store(programme.settings)
    acts.reapply()
    assert programme.night(tonight).outcome in ("completed", "completed_empty")


def test_a_night_whose_days_are_deleted_is_blocked_in_one_line(calibrated_copy: Programme) -> None:
    programme, cut = calibrated_copy, LAST - timedelta(days=3)
    with programme.store() as store:
        store.delete_expired(cut)
    for night, refresh in ((NIGHTS[-2], False), (NIGHTS[-2], True), (FIRST, False)):
        with pytest.raises(NightBlockedError, match=r"have been deleted \(retention"):
            programme.run(night, refresh=refresh)
    digest = programme.state(LAST).digest
    # The newest night's own fold reaches behind the cut: it can't be repeated either.
    with pytest.raises(NightBlockedError):
        programme.run(LAST)
    assert programme.state(LAST).digest == digest
    assert programme.night(LAST + timedelta(days=1)).outcome in ("completed", "completed_empty")
