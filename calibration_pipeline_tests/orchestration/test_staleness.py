"""Which nights become stale when an old one is run again, where it is said, and what mends it."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from calibration_pipeline.definitions import build_definitions
from calibration_pipeline.orchestration.assets import calibration_snapshot
from calibration_pipeline.orchestration.schedule import JOB, range_tags
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.snapshots import current_version, read_manifest
from calibration_pipeline.store.staleness import Staleness, read_staleness
from calibration_pipeline.store.status import read_status
from calibration_pipeline_tests.programme import FIRST, LAST, NIGHTS, Programme, copy_of
from calibration_pipeline_tests.store.answers import ZURICH

OLD = NIGHTS[4]
LATER = list(NIGHTS[5:])
DIFFERENTLY = {"trust_threshold": 60, "prior_difficulty": (0.0, 1.0), "credible_z": 4.0}
"""Thresholds under which a night gives another state."""


def staleness(programme: Programme) -> Staleness:
    return read_staleness(programme.engine)


def stale(programme: Programme) -> list[date]:
    return [found.night for found in staleness(programme).nights]


def shown(programme: Programme, night: date) -> dict[str, Any]:
    """What the UI shows on a night's last step."""
    return programme.materializations("night_outcome")[str(night)]


def newest_versions(programme: Programme, nights: Sequence[date]) -> list[str]:
    """Digest of the newest version of each night."""
    found = {night: digest for _, night, digest in programme.digests()[1]}
    return [found[night] for night in nights]


def rebuild(programme: Programme) -> None:
    """Do what the command that is named would do."""
    found = staleness(programme)
    assert found.command == f"calibrate backfill --from {found.nights[0].night}"
    programme.run(found.nights[0].night, LAST)


def test_a_re_run_with_the_same_bytes_makes_no_night_stale(calibrated_copy: Programme) -> None:
    programme = calibrated_copy
    programme.run(OLD)
    assert programme.state(OLD).attempt == 2
    assert staleness(programme).nights == ()
    assert shown(programme, OLD)["stale nights after it"] == 0
    assert "stale" not in shown(programme, OLD)


@pytest.mark.slow
def test_a_refresh_with_the_same_answers_makes_no_night_stale(calibrated_copy: Programme) -> None:
    """The first night's window reaches back to days before the log began."""
    programme = calibrated_copy
    for night in (FIRST, OLD):
        programme.run(night, refresh=True)
        assert programme.state(night, 2).window == programme.state(night, 1).window
        assert programme.state(night, 2).digest == programme.state(night, 1).digest
    assert stale(programme) == []
    assert programme.store().late_answers(LAST) == ()


@pytest.mark.slow
def test_a_rebuild_that_is_rejected_is_said_with_its_reason(calibrated_copy: Programme) -> None:
    programme = calibrated_copy
    programme.log_like("late", OLD)
    programme.run(OLD, refresh=True)
    programme.with_policy(population_sd_range=(2.0, 5.0)).night(LATER[0])
    assert stale(programme) == LATER
    described = staleness(programme).describe()
    assert f"running {LATER[0]} again was rejected (scale main: population sd" in described
    assert "mend the settings, then `calibrate backfill --from" in described


def test_a_re_run_with_a_late_answer_makes_the_later_nights_stale_by_name(
    calibrated_copy: Programme,
) -> None:
    programme = calibrated_copy
    programme.log_like("late", OLD)
    assert programme.night(OLD, refresh=True).outcome == "completed"
    assert stale(programme) == LATER
    assert current_version(programme.engine) == len(NIGHTS)
    found = shown(programme, OLD)
    assert found["stale nights after it"] == len(LATER)
    assert found["stale"] == (
        f"{len(LATER)} nights from {LATER[0]} to {LAST} are stale: {LATER[0]} starts from {OLD} as "
        f"it was before it was run again; `current` stands at {LAST}, which is stale; "
        f"`calibrate backfill --from {LATER[0]}` rebuilds them"
    )


def test_a_run_that_the_ui_starts_says_it_too(calibrated_copy: Programme) -> None:
    """No command of ours is involved: a run of the job, launched with nothing but its night."""
    programme = calibrated_copy.with_policy(**DIFFERENTLY)
    job = build_definitions(programme.settings).resolve_job_def(JOB)
    job.execute_in_process(instance=programme.instance, tags=range_tags(OLD, OLD, "the data lead"))
    assert shown(programme, OLD)["stale nights after it"] == len(LATER)
    assert f"calibrate backfill --from {LATER[0]}`" in shown(programme, OLD)["stale"]


@pytest.mark.slow
def test_rebuilding_after_a_disturbance_gives_the_undisturbed_bytes(
    calibrated: Programme, calibrated_copy: Programme
) -> None:
    programme = calibrated_copy
    programme.with_policy(**DIFFERENTLY).run(OLD)
    assert stale(programme) == LATER
    programme.run(OLD)
    assert stale(programme) == []
    programme.with_policy(**DIFFERENTLY).run(OLD, NIGHTS[5])
    assert stale(programme) == LATER[1:]
    programme.run(OLD, LAST)
    assert stale(programme) == []
    states, versions = calibrated.digests()
    assert programme.digests()[0] == states
    assert newest_versions(programme, NIGHTS) == [digest for _, _, digest in versions]


def test_a_rebuild_makes_the_rebuilt_version_of_its_night_current(
    calibrated_copy: Programme,
) -> None:
    programme = calibrated_copy
    programme.log_like("late", OLD)
    programme.run(OLD, refresh=True)
    rebuild(programme)
    assert stale(programme) == []
    current = current_version(programme.engine)
    assert current == len(NIGHTS) + 1 + len(LATER)
    manifest = read_manifest(programme.engine, current)
    assert (manifest.partition, manifest.attempt) == (LAST, 2)
    found = staleness(programme).current
    assert found is not None
    assert (found.version, found.stale_because) == (current, "")
    assert all(shown(programme, night)["stale nights after it"] == 0 for night in LATER)


@pytest.mark.parametrize(
    "answered",
    [
        pytest.param(OLD, id="its own day", marks=pytest.mark.slow),
        pytest.param(NIGHTS[2], id="a day of its window"),
    ],
)
def test_rebuilding_after_a_late_answer_gives_the_bytes_of_one_that_came_in_time(
    programme: Programme, calibrated_copy: Programme, answered: date
) -> None:
    """Later nights read the answer because the night before them does; nobody says refresh.

    A later day's late answer, which no night was told to read, stays out of all of them.
    """
    in_time, late, unread = programme, calibrated_copy, NIGHTS[6]
    with in_time.store() as store:
        store.extract_day(answered)  # the day has two revisions here as well
    in_time.run(FIRST, NIGHTS[3])
    for each in (in_time, late):
        each.log_like("late", answered)
    in_time.run(OLD, LAST)
    late.run(OLD, refresh=True)
    late.log_like("unread", unread)
    rebuild(late)
    assert stale(late) == []
    assert late.digests()[0] == in_time.digests()[0]
    assert newest_versions(late, NIGHTS) == newest_versions(in_time, NIGHTS)
    state = late.state(LAST)
    assert (unread, 1) in [(day, revision) for day, revision, _ in state.window]
    assert late.store().archived_days([unread])[unread].revision == 2


def test_a_night_that_was_skipped_makes_the_later_ones_stale_when_it_is_run(
    calibrated: Programme, programme: Programme
) -> None:
    programme.run(FIRST, NIGHTS[2])
    programme.run(NIGHTS[4], LAST)
    assert stale(programme) == []
    programme.run(NIGHTS[3])
    assert stale(programme) == list(NIGHTS[4:])
    described = shown(programme, NIGHTS[3])["stale"]
    assert f"{NIGHTS[4]} starts from {NIGHTS[2]}, and {NIGHTS[3]} has been calibrated" in described
    rebuild(programme)
    assert stale(programme) == []
    states, versions = calibrated.digests()
    assert programme.digests()[0] == states
    assert newest_versions(programme, NIGHTS) == [digest for _, _, digest in versions]


def test_a_re_run_that_is_rejected_leaves_the_accepted_state_and_nothing_stale(
    calibrated_copy: Programme,
) -> None:
    programme = calibrated_copy
    assert programme.with_policy(population_sd_range=(2.0, 5.0)).night(OLD).outcome == "rejected"
    assert not programme.state(OLD).is_accepted
    assert staleness(programme).nights == ()
    parent = programme.store().newest_accepted_state(LATER[0])
    assert parent is not None
    assert (parent.partition, parent.attempt) == (OLD, 1)
    assert current_version(programme.engine) == len(NIGHTS)


def test_a_run_that_fails_says_what_is_stale_in_its_failure(calibrated_copy: Programme) -> None:
    """A range whose last night is rejected: its first one was accepted with another result."""
    programme = calibrated_copy
    programme.log_like("bad", NIGHTS[5], score="7")
    definitions = build_definitions(programme.with_policy(**DIFFERENTLY).settings)
    result = definitions.resolve_job_def(JOB).execute_in_process(
        instance=programme.instance,
        tags=range_tags(OLD, NIGHTS[5], "a test"),
        run_config={
            "ops": {name: {"config": {"refresh": True}} for name in ("responses", "item_fits")}
        },
        raise_on_error=False,
    )
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    details = failure.step_failure_data.user_failure_data
    assert details is not None
    assert str(NIGHTS[5]) in details.metadata
    assert "calibrate backfill --from" in str(details.metadata["stale"].value)


@pytest.mark.parametrize("nights", [(LAST,), (OLD, LAST)])
def test_the_newest_night_run_again_leaves_nothing_stale(
    calibrated_copy: Programme, nights: tuple[date, ...]
) -> None:
    programme = calibrated_copy.with_policy(**DIFFERENTLY)
    programme.run(nights[0], nights[-1])
    assert stale(programme) == []
    tomorrow = LAST + timedelta(days=1)
    parent = programme.store().newest_accepted_state(tomorrow)
    assert parent is not None
    assert (parent.partition, parent.attempt) == (LAST, 2)
    assert shown(programme, LAST)["stale nights after it"] == 0


@pytest.mark.slow
def test_a_crash_between_fits_and_publications_is_mended_in_order(
    programme: Programme,
    embedded_server: EmbeddedServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last night run alone carries values from before the one that was not published."""
    # So many answers are asked for that many items keep what was published before.
    programme = programme.with_policy(minimum_responses=30)
    programme.run(FIRST, NIGHTS[-3])
    with copy_of(programme, embedded_server, tmp_path / "undisturbed") as undisturbed:
        undisturbed.run(NIGHTS[-2], LAST)
        wanted = newest_versions(undisturbed, NIGHTS[-2:])
    with monkeypatch.context() as broken:
        broken.setattr(calibration_snapshot, "compose_snapshot", _crash)
        with pytest.raises(ZeroDivisionError):
            programme.run(NIGHTS[-2], LAST)
    assert read_status(programme.engine, ZURICH).unfinished == NIGHTS[-2:]
    programme.run(LAST)
    assert read_status(programme.engine, ZURICH).unfinished == NIGHTS[-2:-1]
    programme.run(NIGHTS[-2])
    (found,) = staleness(programme).nights
    assert found.night == LAST
    assert found.reason.startswith(f"carries values from before {NIGHTS[-2]} was published")
    assert newest_versions(programme, NIGHTS[-2:]) != wanted
    rebuild(programme)
    assert newest_versions(programme, NIGHTS[-2:]) == wanted
    assert staleness(programme).nights == ()


def _crash(*_arguments: Any) -> None:
    raise ZeroDivisionError
