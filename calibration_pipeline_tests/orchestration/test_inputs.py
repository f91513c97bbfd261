"""Which answers a night reads: each counts once, and an old night reads what it read before."""

from datetime import date, timedelta

import dagster as dg
import numpy as np
import pytest

from calibration_pipeline.definitions import build_definitions
from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.orchestration.inputs import read_night_inputs
from calibration_pipeline.records import CalibrationState
from calibration_pipeline.store.snapshots import current_version
from calibration_pipeline_tests.programme import (
    ANSWERS_A_DAY,
    FIRST,
    LAST,
    NIGHTS,
    PLAN,
    POLICY,
    Programme,
)


def carries_the_same(first: CalibrationState, second: CalibrationState) -> bool:
    """Whether two states have folded the same days; not in which steps."""
    return first.folded_through == second.folded_through and np.array_equal(
        first.total_counts, second.total_counts
    )


def test_every_answer_counts_once_whether_in_the_window_or_folded(calibrated: Programme) -> None:
    for number, night in enumerate(NIGHTS, start=1):
        state = calibrated.state(night)
        assert state.total_counts.sum() == number * ANSWERS_A_DAY
        assert state.window_counts.sum() == min(number, POLICY.window_days) * ANSWERS_A_DAY
        assert state.folded_through == night - timedelta(days=POLICY.window_days)
        assert [day for day, _, _ in state.window] == list(NIGHTS[max(0, number - 4) : number])
        has_left = number > POLICY.window_days
        assert state.carried_information.any() == has_left
    last = calibrated.state(LAST)
    logged = dict.fromkeys(last.keys, 0)
    with calibrated.engine.connect() as connection:
        logged |= {
            (item, version): n
            for item, version, n in connection.exec_driver_sql(
                "SELECT item_id, content_version, count(*) FROM calibration.response_log GROUP BY"
                " item_id, content_version"
            )
        }
    assert dict(zip(last.keys, last.total_counts.tolist(), strict=True)) == logged


def test_the_answers_of_a_night_that_was_skipped_are_in_the_next_one(
    calibrated: Programme, programme: Programme
) -> None:
    for night in (*NIGHTS[:3], *NIGHTS[4:]):
        assert programme.night(night).outcome == "completed"
        assert programme.state(night).total_counts.sum() == (
            calibrated.state(night).total_counts.sum()
        )
    assert programme.store().state(NIGHTS[3]) is None
    assert programme.state(NIGHTS[4]).parent == (NIGHTS[2], 1)
    last = programme.state(LAST)
    assert carries_the_same(last, calibrated.state(LAST))
    assert last.window == calibrated.state(LAST).window


@pytest.mark.slow
def test_after_a_gap_longer_than_the_window_nothing_is_lost(
    calibrated: Programme, programme: Programme
) -> None:
    programme.run(FIRST)
    assert programme.night(LAST).outcome == "completed"
    state = programme.state(LAST)
    assert state.parent == (FIRST, 1)
    assert carries_the_same(state, calibrated.state(LAST))


@pytest.mark.slow
def test_a_night_before_the_first_one_leaves_the_later_ones_alone(programme: Programme) -> None:
    programme.run(NIGHTS[5])
    before = programme.state(NIGHTS[5]).digest
    programme.run(NIGHTS[1])
    assert programme.state(NIGHTS[1]).parent is None
    programme.run(NIGHTS[6])
    state = programme.state(NIGHTS[6])
    assert programme.state(NIGHTS[5]).digest == before
    assert state.parent == (NIGHTS[5], 1)
    assert [day for day, _, _ in state.window] == list(NIGHTS[3:7])


def test_an_old_night_run_again_gives_the_same_bytes_and_leaves_current_alone(
    calibrated_copy: Programme,
) -> None:
    programme, old = calibrated_copy, NIGHTS[4]
    before = programme.digests()
    assert programme.night(old).outcome == "completed"
    first, second = programme.state(old, 1), programme.state(old, 2)
    assert first.digest == second.digest
    assert programme.digests() == before
    assert current_version(programme.engine) == len(NIGHTS)


def test_the_night_after_a_re_run_starts_from_the_newest_night(calibrated_copy: Programme) -> None:
    calibrated_copy.run(NIGHTS[4])
    parent = calibrated_copy.store().newest_accepted_state(LAST + timedelta(days=1))
    assert parent is not None
    assert (parent.partition, parent.attempt) == (LAST, 1)


def revisions(programme: Programme, day: date) -> int:
    return int(
        programme.scalar(
            "SELECT max(revision) FROM calibration.archive_revisions WHERE day = :day", day=day
        )
    )


def test_a_late_answer_is_a_new_revision_that_an_old_night_uses_only_when_told(
    calibrated_copy: Programme,
) -> None:
    programme, old = calibrated_copy, NIGHTS[4]
    digest = programme.state(old).digest
    assert programme.log_like("late", old) == PLAN.answers
    assert revisions(programme, old) == 1
    assert programme.night(old).outcome == "completed"
    assert revisions(programme, old) == 2
    again = programme.state(old, 2)
    assert again.digest == digest
    assert again.window[-1][:2] == (old, 1)
    assert programme.night(old, refresh=True).outcome == "completed"
    assert revisions(programme, old) == 2
    refreshed = programme.state(old, 3)
    assert refreshed.digest != digest
    assert refreshed.window[-1][:2] == (old, 2)
    assert refreshed.window_counts.sum() == again.window_counts.sum() + PLAN.answers


def test_a_rejected_re_run_between_does_not_take_in_a_late_answer(
    calibrated_copy: Programme,
) -> None:
    programme, old = calibrated_copy, NIGHTS[4]
    assert programme.with_policy(population_sd_range=(2.0, 5.0)).night(old).outcome == "rejected"
    programme.log_like("late", old)
    assert programme.night(old).outcome == "completed"
    assert programme.state(old, 3).digest == programme.state(old, 1).digest


def test_a_first_night_leaves_nothing_and_starts_from_nothing(programme: Programme) -> None:
    with programme.store() as store:
        store.extract_day(FIRST)
    inputs = read_night_inputs(store, FIRST, POLICY)
    assert (inputs.parent, inputs.baselines, list(inputs.leaving)) == (None, {}, [])
    assert inputs.attempt == 1
    assert [day.revision.day for day in inputs.window] == [FIRST]


def test_a_night_whose_own_day_was_not_extracted_is_blocked(programme: Programme) -> None:
    """Without its own answers it would count as done, and they would be missing."""
    job = build_definitions(programme.settings).resolve_implicit_global_asset_job_def()
    with pytest.raises(NightBlockedError, match=f"the answers of {FIRST} have not been extracted"):
        job.execute_in_process(
            instance=programme.instance,
            partition_key=FIRST.isoformat(),
            asset_selection=[dg.AssetKey("item_fits")],
        )
    assert programme.store().state(FIRST) is None


def test_a_night_reads_no_snapshot_alias_or_flag(
    calibrated: Programme, calibrated_copy: Programme
) -> None:
    """Otherwise nights one by one and a run over a range would differ."""
    night = LAST
    for table in ("alias_moves", "aliases", "snapshot_audits", "snapshot_items", "flags"):
        calibrated_copy.execute(f"ALTER TABLE calibration.{table} RENAME TO hidden_{table}")
    inputs = read_night_inputs(calibrated_copy.store(), night, POLICY)
    assert inputs.parent is not None
    assert inputs.parent.digest == calibrated.state(NIGHTS[-2]).digest


def test_a_late_answer_to_a_day_of_the_window_counts_from_the_next_night_on(
    calibrated_copy: Programme,
) -> None:
    programme, tonight, late = calibrated_copy, LAST + timedelta(days=1), NIGHTS[-2]
    programme.log_like("late", late)
    assert programme.night(tonight).outcome == "completed"
    assert revisions(programme, late) == 2
    assert (late, 2) in [(day, revision) for day, revision, _ in programme.state(tonight).window]
    expected = (POLICY.window_days - 1) * ANSWERS_A_DAY + PLAN.answers
    assert programme.state(tonight).window_counts.sum() == expected


def test_the_first_night_on_a_log_that_is_older_sees_its_whole_window(
    programme: Programme,
) -> None:
    night = NIGHTS[POLICY.window_days]
    assert programme.night(night).outcome == "completed"
    assert programme.state(night).window_counts.sum() == POLICY.window_days * ANSWERS_A_DAY


def test_a_night_that_ran_before_its_answers_came_is_fitted_when_run_again(
    programme: Programme,
) -> None:
    programme.execute("CREATE TABLE public.held AS SELECT * FROM calibration.response_log")
    programme.execute("DELETE FROM calibration.response_log")
    assert programme.night(FIRST).outcome == "completed_empty"
    programme.execute(
        "INSERT INTO calibration.response_log OVERRIDING SYSTEM VALUE SELECT * FROM public.held"
    )
    assert programme.night(FIRST).outcome == "completed"
    assert programme.state(FIRST).window_counts.sum() == ANSWERS_A_DAY
