"""`calibrate db`, with a real server."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.interfaces.cli.db import db
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.urls import to_psycopg3
from calibration_pipeline_tests.database import connect


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in os.environ:
        if name.startswith("CALIBRATION_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CALIBRATION_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    EmbeddedServer(tmp_path / "home").remove()


def run(*arguments):
    """Call the command as its group does; errors a person can mend come out as they are."""
    return CliRunner().invoke(db, arguments, catch_exceptions=True)


def test_start_url_status_stop(home):
    started = run("start")
    assert started.exit_code == 0
    url = started.output.strip()
    assert run("url").output.strip() == url
    with connect(to_psycopg3(url)) as connection:
        assert connection.info.dbname == "calibration"
    status = run("status", "--json")
    assert status.exit_code == 0
    facts = json.loads(status.output)
    assert (facts["running"], facts["in_use"], facts["url"]) == (True, True, url)
    assert run("stop").output == "Stopped.\n"
    assert run("stop").output == "The embedded database was not running.\n"
    assert run("status").exit_code == 1


def test_url_of_a_stopped_server_says_how_to_start_it(home):
    result = run("url")
    assert isinstance(result.exception, CalibrationError)
    assert "calibrate db start" in str(result.exception)
    assert not home.exists()


@pytest.mark.parametrize("command", ["start", "url"])
def test_with_a_database_of_the_operator_there_is_nothing_to_start(home, monkeypatch, command):
    monkeypatch.setenv("CALIBRATION_DATABASE_URL", "postgresql://me:hunter2@db/exams")
    result = run(command)
    assert isinstance(result.exception, CalibrationError)
    assert "CALIBRATION_DATABASE_URL is set" in str(result.exception)
    assert "hunter2" not in str(result.exception)
    assert not home.exists()


def test_help_imports_nothing_heavy():
    code = "import sys, calibration_pipeline.interfaces.cli.db; print(*sys.modules, sep='\\n')"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"dagster", "sqlalchemy", "pandas", "numba"} & set(result.stdout.split())
