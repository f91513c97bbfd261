"""Cross-checks run after a published night, read without the lock, and hold nothing up."""

import sys
from dataclasses import replace
from datetime import timedelta

import dagster as dg
import pytest

from calibration_pipeline.definitions import build_definitions, open_store
from calibration_pipeline.orchestration import cross_checks
from calibration_pipeline.orchestration.assets import posterior_audit, second_opinion
from calibration_pipeline.orchestration.assets.common import GROUP as NIGHTLY_GROUP
from calibration_pipeline.orchestration.cross_checks import JOB
from calibration_pipeline.orchestration.schedule import JOB as NIGHTLY_JOB
from calibration_pipeline.policy.cross_check_configuration import (
    AuditConfiguration,
    SecondOpinionConfiguration,
)
from calibration_pipeline_tests.programme import FIRST, LAST, Programme

AUDIT = AuditConfiguration(
    items=3, least_answers=10, warmup=50, draws=100, least_effective_draws=50
)
OPINION = SecondOpinionConfiguration(answers=2000, least_answers=20, epochs=5)
CHECKS = (posterior_audit.GOOD, second_opinion.AGREES)


def checked(programme: Programme, night: str) -> dict[str, dg.AssetCheckEvaluation]:
    definitions = build_definitions(programme.settings)
    with dg.DagsterInstance.ephemeral() as instance:
        own = replace(programme, instance=instance)
        ended = definitions.resolve_job_def(JOB).execute_in_process(
            instance=instance, partition_key=night
        )
        found = {check.check_name: check for check in ended.get_asset_check_evaluations()}
        found["shown"] = {  # type: ignore[assignment]
            name: own.materializations(name)[night]
            for name in ("posterior_audit", "second_opinion")
        }
    return found


def test_a_published_night_is_checked_while_a_calibration_holds_the_lock(
    calibrated_copy: Programme,
) -> None:
    pytest.importorskip("py_irt", reason="the extra bayes is not installed")
    own = calibrated_copy.with_policy(audit=AUDIT, second_opinion=OPINION)
    with open_store(own.settings, "a test", "a test"):
        found = checked(own, LAST.isoformat())
    audit, opinion = found["shown"]["posterior_audit"], found["shown"]["second_opinion"]
    assert audit["items audited"] == 3
    assert audit["highest R-hat"] < 1.2
    assert audit["intervals"].startswith("![chart](data:image/svg+xml;base64,")
    assert opinion["items compared"] >= 20
    assert opinion["answers in the sample"] <= 2000
    assert found[second_opinion.AGREES].severity == dg.AssetCheckSeverity.WARN
    # Five steps of its optimiser are no opinion.
    assert not found[second_opinion.AGREES].passed


def test_a_night_without_a_version_is_said_to_be_unchecked(calibrated: Programme) -> None:
    night = (FIRST - timedelta(days=1)).isoformat()
    found = checked(calibrated, night)
    for name in CHECKS:
        assert not found[name].passed
        assert found[name].severity == dg.AssetCheckSeverity.WARN
    assert found["shown"]["posterior_audit"] == {"skipped": f"{night} has no fit"}


def test_too_few_items_to_judge_warn_of_nothing(calibrated: Programme) -> None:
    """A small programme would be warned every night, of nothing that can be mended."""
    pytest.importorskip("py_irt", reason="the extra bayes is not installed")
    few = calibrated.with_policy(
        audit=replace(AUDIT, least_answers=4000), second_opinion=replace(OPINION, least_items=151)
    )
    found = checked(few, LAST.isoformat())
    for name in CHECKS:
        assert found[name].passed
        assert "too few to judge" in str(found[name].metadata[LAST.isoformat()].value)
    assert "fewer than 151 items" in found["shown"]["second_opinion"]["skipped"]


def test_a_run_that_calibrates_as_well_is_kept_waiting_by_none_of_them(
    calibrated_copy: Programme,
) -> None:
    """As *Materialize all* asks: it would hold the calibration's lock for minutes a night."""
    definitions = build_definitions(calibrated_copy.settings)
    ended = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=calibrated_copy.instance,
        partition_key=LAST.isoformat(),
        asset_selection=[dg.AssetKey(name) for name in ("cold_start", *cross_checks.ASSETS)],
    )
    assert ended.success
    for check in ended.get_asset_check_evaluations():
        assert check.passed
        assert "this run also makes cold_start" in str(check.metadata[LAST.isoformat()].value)
    for name in cross_checks.ASSETS:
        shown = calibrated_copy.materializations(name)[LAST.isoformat()]
        assert "materialise it by itself" in shown["skipped"]


def test_without_the_extra_they_say_so_in_one_line_and_are_skipped(
    calibrated: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torch", "pyro", "py_irt"):
        monkeypatch.setitem(sys.modules, name, None)
    found = checked(calibrated, LAST.isoformat())
    for name, asset in zip(CHECKS, ("posterior_audit", "second_opinion"), strict=True):
        reason = found["shown"][asset]["skipped"]
        assert "pip install 'calibration-pipeline[bayes]'" in reason
        assert "\n" not in reason
        assert not found[name].passed


def test_a_night_needs_none_of_the_extra(
    calibrated_copy: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torch", "pyro", "py_irt"):
        monkeypatch.setitem(sys.modules, name, None)  # an import would fail
    assert calibrated_copy.night(LAST).outcome == "completed"  # its version stands


def test_nothing_that_a_night_does_waits_for_them(calibrated: Programme) -> None:
    definitions = build_definitions(calibrated.settings)
    nightly = definitions.resolve_job_def(NIGHTLY_JOB)
    asked = {key.to_user_string() for key in nightly.asset_layer.executable_asset_keys}
    assert not asked & {"posterior_audit", "second_opinion"}
    own = definitions.resolve_job_def(JOB)
    keys = {key.to_user_string() for key in own.asset_layer.executable_asset_keys}
    assert keys == set(cross_checks.ASSETS)
    assert "dagster/max_retries" not in own.tags
    for asset in definitions.assets or ():
        for spec in asset.specs:
            names = {dep.asset_key.to_user_string() for dep in spec.deps}
            assert not names & {"posterior_audit", "second_opinion"}
            if spec.group_name != NIGHTLY_GROUP and spec.group_name == cross_checks.GROUP:
                assert asset.op.pool is None
                assert asset.op.retry_policy is None


def test_they_are_asked_for_after_a_night(
    calibrated: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions = build_definitions(calibrated.settings)
    sensor = definitions.resolve_sensor_def(f"{JOB}_sensor")
    (run,) = calibrated.instance.get_runs(dg.RunsFilter(job_name=NIGHTLY_JOB), limit=1)
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.RUN_SUCCESS.value, job_name=NIGHTLY_JOB
    )
    with dg.build_run_status_sensor_context(
        sensor_name=sensor.name,
        dagster_event=event,
        dagster_instance=calibrated.instance,
        dagster_run=run,
    ) as context:
        request = sensor(context)
        assert isinstance(request, dg.RunRequest)
        assert request.partition_key == LAST.isoformat()
        monkeypatch.setitem(sys.modules, "torch", None)
        skipped = sensor(context)
    assert isinstance(skipped, dg.SkipReason)
    assert "torch not installed" in str(skipped.skip_message)
