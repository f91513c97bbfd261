"""The job that the data lead launches: it proposes what the command would."""

from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from calibration_pipeline.definitions import open_store
from calibration_pipeline.orchestration.anchor_selection import JOB, anchor_selection_job
from calibration_pipeline.orchestration.assets.common import POOL
from calibration_pipeline.orchestration.resources import build_resources
from calibration_pipeline.settings import Settings
from calibration_pipeline.store.anchor_sets import list_sets, read_candidates
from calibration_pipeline_tests.store.anchor_programmes import ANCHORS, NIGHT, NIGHTS, load
from calibration_pipeline_tests.store.conftest import engine, migrated_template, migrated_url

__all__ = ["engine", "migrated_template", "migrated_url"]

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def pool(engine: sa.Engine, tmp_path: Path) -> sa.Engine:
    load(engine, tmp_path)
    return engine


@pytest.fixture
def settings(migrated_url: str, tmp_path: Path) -> Settings:
    return Settings(database_url=migrated_url, home=tmp_path / "home")


def run_job(settings: Settings, as_of: str | None = None) -> dg.ExecuteInProcessResult:
    definitions = dg.Definitions(
        jobs=[anchor_selection_job()],
        resources=build_resources(
            lambda trigger, run_id: open_store(settings, trigger, run_id),
            settings.policy,
            settings.home / "reports",
        ),
    )
    config = {"ops": {"select_anchor_set": {"config": {"as_of": as_of}}}} if as_of else {}
    with dg.DagsterInstance.ephemeral() as instance:
        return definitions.resolve_job_def(JOB).execute_in_process(
            instance=instance, run_config=QUIET | config, raise_on_error=False
        )


def test_the_job_proposes_a_set_from_calibrated_nights(pool: sa.Engine, settings: Settings) -> None:
    result = run_job(settings)
    assert result.success
    (event,) = result.filter_events(lambda event: event.is_successful_output)
    shown = {name: value.value for name, value in event.step_output_data.metadata.items()}
    newest = list_sets(pool)[0]
    assert shown["anchor set"] == newest.anchor_set_id == 2
    assert (shown["night"], newest.night) == (str(NIGHT), NIGHT)
    assert newest.proposed_by == f"Dagster run {result.dagster_run.run_id}"
    assert newest.activations == ()
    chosen = [item for item in read_candidates(pool, 2) if item.is_chosen]
    assert shown["anchors"] == len(chosen) == 20  # what a night links by: more than 12% of 60 items
    assert shown["anchors before that stay"] == ANCHORS
    assert "calibrate anchors activate 2" in shown["next"]


def test_without_history_present_anchors_are_proposed_again(
    pool: sa.Engine, settings: Settings
) -> None:
    assert run_job(settings, as_of=NIGHTS[0].isoformat()).success
    newest = list_sets(pool)[0]
    assert (newest.night, newest.anchor_count) == (NIGHTS[0], ANCHORS)
    assert f"its {ANCHORS} present anchors stay" in newest.remarks["main"]


def test_before_the_first_night_the_job_says_so(engine: sa.Engine, settings: Settings) -> None:
    result = run_job(settings)
    assert not result.success
    (failure,) = result.filter_events(lambda event: event.is_step_failure)
    assert "no night has been accepted" in str(failure.event_specific_data)


def test_the_job_waits_its_turn() -> None:
    (node,) = anchor_selection_job().graph.node_dict.values()
    assert node.definition.pool == POOL
