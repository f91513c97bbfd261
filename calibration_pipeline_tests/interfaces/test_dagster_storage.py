"""Dagster's storage: one instance for the command line, the UI and the processes they start."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance import InstanceRef
from dagster._serdes import serialize_value

from calibration_pipeline.errors import (
    BadInputError,
    CalibrationError,
    DatabaseUnavailableError,
)
from calibration_pipeline.interfaces.dagster_storage import PipelineStorage, storage_url
from calibration_pipeline.orchestration.instance import open_instance
from calibration_pipeline.settings import Settings
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.schema import migrate
from calibration_pipeline_tests.processes import PATIENCE_SECONDS, PROJECT, bare_environment, python

DEFINITIONS = """
import dagster as dg

@dg.asset
def answers() -> None:
    pass

defs = dg.Definitions(assets=[answers], jobs=[dg.define_asset_job("night")])
"""

REHYDRATE = """
import sys
import dagster as dg
from dagster._core.instance import InstanceRef
from dagster._serdes import deserialize_value
ref = deserialize_value(sys.argv[1], InstanceRef)
with dg.DagsterInstance.from_ref(ref) as instance:
    run = instance.get_run_by_id(sys.argv[2])
    events = instance.get_latest_materialization_event(dg.AssetKey("answers"))
    instance.schedule_storage.all_instigator_state()
    print(run.status.value, events is not None)
"""


@dg.asset
def answers() -> None:
    """An asset to record."""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder with our dagster.yaml, and nothing set in the environment."""
    for name in os.environ:
        if name.startswith(("CALIBRATION_", "DAGSTER_")):
            monkeypatch.delenv(name)
    shutil.copy(PROJECT / "dagster.yaml", tmp_path)
    (tmp_path / "nights.py").write_text(DEFINITIONS)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    EmbeddedServer(tmp_path / ".calibration").remove()


def record_a_run(project):
    with open_instance(project) as instance:
        result = dg.materialize([answers], instance=instance)
        assert result.success
        return result.run_id, serialize_value(instance.get_ref())


def test_runs_events_and_schedules_are_found_by_other_processes(project):
    run_id, ref = record_a_run(project)
    output, _ = python(REHYDRATE, ref, run_id, cwd=project).communicate(timeout=PATIENCE_SECONDS)
    assert output.split()[-2:] == ["SUCCESS", "True"]


def test_logs_and_files_stay_below_the_home_folder(project):
    run_id, _ = record_a_run(project)
    assert list((project / ".calibration" / "dagster").glob(f"**/{run_id}"))
    assert {path.name for path in project.iterdir()} == {
        ".calibration",
        "dagster.yaml",
        "nights.py",
    }


def test_pools_hold_one_run_and_telemetry_is_off(project):
    with open_instance(project) as instance:
        pools = instance.get_concurrency_config().pool_config
        assert pools.default_pool_limit == 1
        assert pools.pool_granularity.value == "run"
        assert not instance.telemetry_enabled


def test_dagster_dev_with_an_empty_environment_finds_what_the_command_line_stored(project):
    run_id, _ = record_a_run(project)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["-m", "dagster", "dev", "-f", "nights.py", "-h", "127.0.0.1", "-p", str(port)]
    with Path(project, "dev.log").open("w") as log:
        dev = subprocess.Popen(
            [sys.executable, *arguments],
            env=bare_environment(),
            cwd=project,
            stdout=log,
            stderr=log,
        )
        try:
            answer = ask(port, "{ runsOrError { ... on Runs { results { runId status } } } }", dev)
        finally:
            dev.send_signal(signal.SIGINT)
            dev.wait(PATIENCE_SECONDS)
    assert f'"runId": "{run_id}"' in answer.replace('":"', '": "')
    assert "SUCCESS" in answer


def ask(port, query, process, seconds=PATIENCE_SECONDS):
    """Put a query to Dagster's web server as soon as it answers."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=f'{{"query": "{query}"}}'.encode(),
        headers={"Content-Type": "application/json"},
    )
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - http, above
                return response.read().decode()
        except OSError:
            assert process.poll() is None, "dagster dev ended"
            assert time.monotonic() < deadline, "dagster dev did not answer"
            time.sleep(0.5)


def test_the_operators_databases_come_before_the_embedded_one(tmp_path):
    ours = "postgres://me:secret@db/exams"
    own = "postgresql://me:secret@db/dagster"
    home = tmp_path / "unused"
    assert storage_url(Settings(database_url=ours, home=home)) == (
        "postgresql+psycopg2://me:secret@db/exams?options=-csearch_path%3Dpublic"
    )
    both = Settings(database_url=ours, dagster_database_url=own, home=home)
    assert storage_url(both).startswith("postgresql+psycopg2://me:secret@db/dagster?")
    with pytest.raises(BadInputError, match="only PostgreSQL"):
        storage_url(Settings(database_url="mysql://me:secret@db/exams", home=home))
    assert not home.exists()


def test_the_storage_lives_in_the_operators_database(project, database_url, monkeypatch):
    monkeypatch.setenv("CALIBRATION_DATABASE_URL", database_url)
    # The tests' user is called `calibration`: PostgreSQL would look into our schema first, where
    # Dagster would take our migrations' table for its own.
    engine = open_engine(database_url)
    migrate(engine)
    engine.dispose()
    with open_instance(project) as instance:
        assert dg.materialize([answers], instance=instance).success
        assert isinstance(instance.get_ref().storage, PipelineStorage)
    assert not (project / ".calibration" / "postgres").exists()


def test_dagster_home_is_honoured(project, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("dagster_home")
    (elsewhere / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv("DAGSTER_HOME", str(elsewhere))
    with open_instance(project) as instance:
        assert instance.root_directory == str(elsewhere)


def test_a_folder_without_dagster_yaml_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with (
        pytest.raises(CalibrationError, match=r"no dagster\.yaml in") as refusal,
        open_instance(tmp_path),
    ):
        pass
    assert "\n" not in str(refusal.value)


def test_a_storage_that_cannot_be_reached_is_one_line_without_the_password(
    project, monkeypatch, caplog
):
    monkeypatch.setenv("CALIBRATION_DAGSTER_DATABASE_URL", "postgresql://me:hunter2@127.0.0.1:1/x")
    monkeypatch.setattr("dagster_postgres.utils.calculate_delay", lambda **_: 0.0)  # its pauses
    lost = pytest.raises(DatabaseUnavailableError, match="Dagster's database can't be used")
    with lost as refusal, open_instance(project):
        pass
    line = str(refusal.value)
    assert "port 1 failed" in line
    assert "CALIBRATION_DAGSTER_DATABASE_URL" in line
    assert "\n" not in line
    assert "hunter2" not in line
    assert "Retrying failed database" not in caplog.text


def test_the_projects_own_configuration_is_valid():
    ref = InstanceRef.from_dir(str(PROJECT), config_dir=str(PROJECT))
    assert ref.storage_data.class_name == "PipelineStorage"
