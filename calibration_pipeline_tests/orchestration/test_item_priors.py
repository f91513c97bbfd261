"""Priors of new items in the chain: learned in a job of their own, used by the nights after it."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import dagster as dg
import numpy as np
import pytest

from calibration_pipeline.definitions import build_definitions
from calibration_pipeline.errors import ItemPriorError
from calibration_pipeline.orchestration.assets.item_priors import (
    JOB,
    USABLE,
    item_prior_job,
    item_prior_schedule,
)
from calibration_pipeline.orchestration.cross_checks import inputs_of
from calibration_pipeline.orchestration.launch import QUIET_LOG
from calibration_pipeline.policy.item_prior_configuration import ItemPriorConfiguration
from calibration_pipeline_tests.processes import PATIENCE_SECONDS, PROJECT
from calibration_pipeline_tests.programme import (
    LAST,
    NIGHTS,
    POLICY,
    Programme,
    calibrated,
    calibrated_copy,
    loaded_template,
    programme,
)

__all__ = ["calibrated", "calibrated_copy", "loaded_template", "programme"]

SETTINGS = ItemPriorConfiguration(
    teaching_responses=20, minimum_teachers=50, minimum_effective_draws=10, maximum_pareto_k=1.0
)
IMPORTS = """
import sys
import calibration_pipeline.definitions
import calibration_pipeline.interfaces.cli.priors
import calibration_pipeline.orchestration.item_prior_fitting
print(sorted({name.split(".")[0] for name in sys.modules} & {"torch", "pyro", "py_irt"}))
"""


def learn(programme: Programme, settings: ItemPriorConfiguration, **options: Any) -> Any:
    pytest.importorskip("torch", reason="the extra bayes is not installed")
    pytest.importorskip("pyro", reason="the extra bayes is not installed")
    from calibration_pipeline.orchestration.item_prior_fitting import fit_item_priors

    policy = replace(POLICY, item_priors=settings)
    return fit_item_priors(programme.engine, policy, fitted_by="a test", **options)


def test_nights_use_the_newest_accepted_priors_for_items_without_enough_answers(
    calibrated_copy: Programme,
) -> None:
    own, before = calibrated_copy, calibrated_copy.state(LAST)
    assert before.item_prior_fit is None
    settings = replace(SETTINGS, enough_responses=60)
    own = own.with_policy(item_priors=settings)
    found = learn(own, settings, as_of=NIGHTS[-2])
    assert (found.is_new, found.fit.is_accepted, found.fit.effective_from) == (True, True, LAST)
    again = learn(own, settings, as_of=NIGHTS[-2])
    assert (again.is_new, again.fit.number) == (False, found.fit.number)
    rejected = learn(own, replace(settings, minimum_effective_draws=9999), as_of=NIGHTS[-2])
    assert not rejected.fit.is_accepted
    assert "less than 9999" in rejected.fit.reasons[0]

    own.night(LAST)
    assert own.state(LAST).item_prior_fit is None  # a night that is repeated uses what it used
    own.night(LAST, refresh=True)
    after, parent = own.state(LAST), own.state(NIGHTS[-2])
    assert after.item_prior_fit == found.fit.number
    is_taught = ~after.is_anchor & (parent.total_counts < 60)
    assert 0 < is_taught.sum() < (~after.is_anchor).sum()
    # What checks the night begins where it began.
    read = inputs_of(own.store(), after).item_priors
    assert read is not None
    assert read.number == found.fit.number
    (scale,) = found.fit.scales
    assert scale.keys == after.keys
    sd = np.sqrt(np.diagonal(scale.covariance, axis1=1, axis2=2))
    np.testing.assert_allclose(after.prior_mean[is_taught], scale.mean[is_taught])
    np.testing.assert_allclose(after.prior_precision[is_taught] ** -0.5, sd[is_taught])
    others = ~is_taught & ~after.is_anchor
    np.testing.assert_allclose(after.prior_mean[others], before.prior_mean[others], atol=0.1)
    assert not np.allclose(scale.mean[others], before.prior_mean[others], atol=0.1)


def run_job(programme: Programme) -> dg.ExecuteInProcessResult:
    definitions = build_definitions(programme.settings)
    return definitions.resolve_job_def(JOB).execute_in_process(
        instance=programme.instance, run_config=QUIET_LOG, raise_on_error=True
    )


def test_the_job_stores_a_fit_with_its_diagnostics_and_a_check(calibrated_copy: Programme) -> None:
    pytest.importorskip("pyro", reason="the extra bayes is not installed")
    result = run_job(calibrated_copy.with_policy(item_priors=SETTINGS))
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == (USABLE, True)
    (event,) = result.asset_materializations_for_node("item_priors")
    shown = {name: value.value for name, value in event.metadata.items()}
    assert shown["accepted"]
    assert shown["number"] == 1
    assert shown["night"] == str(LAST)
    assert shown["main: effective draws"] > 0.0
    assert "logit guessing" in shown["main: coordinates"]
    assert shown["dagster/row_count"] == 150
    assert len(shown["main: items to look at"].splitlines()) == 2 + 10
    assert "data:image/svg+xml" in shown["plot: main, standard deviation of b"]
    assert calibrated_copy.scalar("SELECT count(*) FROM calibration.item_prior_items") == 150


def test_with_too_few_teachers_the_job_says_so_and_the_check_fails(
    calibrated_copy: Programme,
) -> None:
    pytest.importorskip("pyro", reason="the extra bayes is not installed")
    few = replace(SETTINGS, minimum_teachers=149)
    result = run_job(calibrated_copy.with_policy(item_priors=few))
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert "no scale has 149 items to learn from" in str(check.metadata["reasons"].value)
    assert calibrated_copy.scalar("SELECT count(*) FROM calibration.item_prior_fits") == 0


def test_before_the_first_night_there_is_nothing_to_learn_from(programme: Programme) -> None:
    with pytest.raises(ItemPriorError, match="no night has been accepted"):
        learn(programme, SETTINGS)


def test_a_missing_extra_is_said_in_one_line(
    calibrated: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    from calibration_pipeline.orchestration import item_prior_fitting

    monkeypatch.setattr(item_prior_fitting, "missing_extra", lambda *_: "torch not installed")
    with pytest.raises(ItemPriorError, match="can't be fitted: torch not installed"):
        item_prior_fitting.fit_item_priors(calibrated.engine, POLICY, fitted_by="a test")


def test_nothing_imports_pytorch_before_a_fit() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", IMPORTS],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    assert ended.stdout.strip() == "[]"


def test_the_schedule_is_weekly_and_hours_away_from_the_night() -> None:
    schedule = item_prior_schedule(item_prior_job(), 22, "Asia/Tokyo")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 4 * * 0", "Asia/Tokyo")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
