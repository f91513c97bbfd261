"""Nights that publish nothing: why, what follows, and that only the last step fails."""

from dataclasses import replace
from datetime import timedelta

import dagster as dg
import pytest

from calibration_pipeline.definitions import build_definitions
from calibration_pipeline.orchestration.schedule import JOB, range_tags
from calibration_pipeline.store.snapshots import current_version
from calibration_pipeline_tests.programme import FIRST, LAST, NIGHTS, PLAN, Programme

AFTER_THE_FIT = ("item_flags", "anchor_link", "calibration_snapshot", "candidate_abilities")
EMPTY_NIGHT = LAST + timedelta(days=20)


def rejecting(programme: Programme) -> Programme:
    """The same programme under a threshold that no night's population meets."""
    return programme.with_policy(population_sd_range=(2.0, 5.0))


def test_a_rejected_night_publishes_nothing_and_the_next_starts_from_the_one_before(
    programme: Programme,
) -> None:
    programme.run(FIRST, NIGHTS[1])
    outcome = rejecting(programme).night(NIGHTS[2])
    assert outcome.outcome == "rejected"
    assert "population sd" in outcome.reason
    assert "outside [2.0, 5.0]" in outcome.reason
    assert current_version(programme.engine) == 2
    state = programme.state(NIGHTS[2])
    assert not state.is_accepted
    for asset in AFTER_THE_FIT:
        shown = programme.materializations(asset)[str(NIGHTS[2])]
        assert shown == {"skipped": f"the night's fit was rejected: {outcome.reason}"}
    assert programme.materializations("item_fits")[str(NIGHTS[2])]["accepted"] is False
    page = (programme.settings.home / "reports" / f"{NIGHTS[2]}.html").read_text()
    assert "The fit was rejected, nothing was published" in page

    assert programme.night(NIGHTS[3]).outcome == "completed"
    following = programme.state(NIGHTS[3])
    assert following.parent == (NIGHTS[1], 1)
    assert following.total_counts.sum() == 4 * PLAN.sessions_per_day * PLAN.answers


def test_the_run_fails_in_its_last_step_alone(programme: Programme) -> None:
    definitions = build_definitions(rejecting(programme).settings)
    result = definitions.resolve_job_def(JOB).execute_in_process(
        instance=programme.instance,
        tags=range_tags(FIRST, NIGHTS[1], "a test"),
        raise_on_error=False,
    )
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_key == "night_outcome"
    assert failure.step_failure_data.error is not None
    assert f"2 of 2 nights published nothing; {FIRST}" in failure.step_failure_data.error.message
    succeeded = {e.step_key for e in result.all_events if e.is_step_success}
    assert succeeded >= {"responses", "item_fits", *AFTER_THE_FIT, "nightly_report"}
    assert len(programme.materializations("nightly_report")) == 2
    run = programme.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.FAILURE
    checks = [
        event.asset_check_evaluation_data
        for event in result.all_events
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    assert {check.check_name for check in checks if not check.passed} == {"fit_is_accepted"}


def test_a_rejected_night_in_a_range_leaves_the_records_of_the_others(
    programme: Programme,
) -> None:
    programme.log_like("bad", NIGHTS[1], score="7")
    outcomes = programme.nights(FIRST, NIGHTS[3])
    assert [o.outcome for o in outcomes] == ["completed", "rejected", "completed", "completed"]
    assert programme.state(NIGHTS[2]).parent == (FIRST, 1)
    assert [v[1] for v in programme.digests()[1]] == [FIRST, NIGHTS[2], NIGHTS[3]]


def test_em_that_does_not_converge_rejects_the_night(programme: Programme) -> None:
    em = replace(programme.settings.policy.em, maximum_cycles=1)
    outcome = programme.with_policy(em=em).night(FIRST)
    assert outcome.outcome == "rejected"
    assert "not converged after" in outcome.reason
    assert current_version(programme.engine) is None


def test_too_many_bad_rows_stop_the_night_before_the_fit(programme: Programme) -> None:
    bad = programme.log_like("bad", FIRST, score="7")
    outcome = programme.night(FIRST)
    assert outcome.outcome == "rejected"
    assert f"{bad} of {bad + 900} rows of {FIRST} were quarantined" in outcome.reason
    state = programme.state(FIRST)
    assert not any(scale.fitted for scale in state.scales)
    shown = programme.materializations("responses")[str(FIRST)]
    assert shown["quarantined"] == bad
    assert f"non_binary_score | {bad}" in shown["quarantined by reason"]
    assert shown["examples of quarantined rows"].count("| non_binary_score | ") == 3
    assert "candidate of bad" not in str(shown)
    assert f"{bad} of them as non_binary_score: see `calibrate quarantine" in outcome.reason
    assert outcome.counts["quarantined"] == outcome.counts["quarantined_non_binary_score"] == bad


@pytest.mark.slow
def test_a_source_that_was_mended_is_used_when_the_night_is_told_to(programme: Programme) -> None:
    programme.log_like("bad", FIRST, score="7")
    programme.run(FIRST)
    programme.execute("DELETE FROM calibration.response_log WHERE session_id = 'bad'")
    assert programme.night(FIRST, refresh=True).outcome == "completed"


NO_LINK_WILL_DO = {"linking_slope_range": (1.0, 1.0), "minimum_anchors": 5}


def test_a_failed_audit_publishes_nothing_and_says_why(programme: Programme) -> None:
    strict = programme.with_policy(**NO_LINK_WILL_DO)
    outcome = strict.night(FIRST)
    assert outcome.outcome == "audit_failed"
    assert outcome.reason.startswith("linking constants lie within their bounds:")
    assert current_version(programme.engine) is None
    assert programme.state(FIRST).is_accepted
    shown = programme.materializations("calibration_snapshot")[str(FIRST)]
    assert shown["version"] == "none published"
    assert shown["failed audit"] == outcome.reason
    assert "| linking constants lie within their bounds | NO |" in shown["audit"]
    skipped = programme.materializations("candidate_abilities")[str(FIRST)]
    assert skipped == {"skipped": "the night published no version"}

    assert programme.night(NIGHTS[1]).outcome == "completed"
    assert programme.state(NIGHTS[1]).parent == (FIRST, 1)


def test_the_page_of_a_failed_audit_says_why(programme: Programme) -> None:
    programme.with_policy(**NO_LINK_WILL_DO).run(FIRST)
    page = (programme.settings.home / "reports" / f"{FIRST}.html").read_text()
    assert "the audit failed" in page
    assert "linking constants lie within their bounds" in page


def test_a_night_without_any_answers_is_empty(programme: Programme) -> None:
    outcome = programme.night(EMPTY_NIGHT)
    assert (outcome.outcome, outcome.reason) == (
        "completed_empty",
        "no item has enough responses in the window",
    )
    assert outcome.counts == {
        "responses": 0, "items_refitted": 0, "late_answers": 0, "quarantined": 0,
        "flags_open": 0, "flags_new": 0, "flags_resolved": 0,
    }  # fmt: skip
    assert current_version(programme.engine) is None
    assert programme.state(EMPTY_NIGHT).is_accepted
    for asset in ("calibration_snapshot", "candidate_abilities"):
        assert set(programme.materializations(asset)[str(EMPTY_NIGHT)]) == {"skipped"}


def test_a_night_with_too_few_answers_per_item_is_empty(programme: Programme) -> None:
    outcome = programme.with_policy(minimum_responses=500).night(FIRST)
    assert outcome.outcome == "completed_empty"
    assert outcome.counts["responses"] == 900
    assert current_version(programme.engine) is None


def test_the_last_accepted_attempt_stands_when_a_re_run_is_rejected(
    calibrated_copy: Programme,
) -> None:
    assert rejecting(calibrated_copy).night(LAST).outcome == "rejected"
    parent = calibrated_copy.store().newest_accepted_state(LAST + timedelta(days=1))
    assert parent is not None
    assert (parent.partition, parent.attempt) == (LAST, 1)
    assert current_version(calibrated_copy.engine) == len(NIGHTS)


def test_a_pool_without_anchors_keeps_the_scale_of_its_first_night_with_answers(
    programme: Programme,
) -> None:
    """An empty night before it sets no scale."""
    programme.execute(
        "DROP FUNCTION calibration.refuse_change CASCADE;"  # the tables are append-only
        "TRUNCATE calibration.anchor_sets CASCADE"
    )
    # Nine hundred answers set the scale so loosely that the nights after it move a good deal.
    programme.with_policy(maximum_moved_share=1.0).run(FIRST - timedelta(days=1), NIGHTS[2])
    first = programme.state(FIRST)
    assert not first.is_anchor.any()
    assert (first.scales[0].population_mean, first.scales[0].population_sd) == (0.0, 1.0)
    baseline = programme.store().first_fitted_state(NIGHTS[2], "main")
    assert baseline is not None
    assert baseline.partition == FIRST
    assert programme.state(NIGHTS[2]).scales[0].linking_slope != 1.0
