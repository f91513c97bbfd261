import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.settings import load_settings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in os.environ:
        if name.startswith("CALIBRATION_"):
            monkeypatch.delenv(name)


def test_defaults_need_no_variable(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert settings.database_url is None
    assert settings.home == tmp_path / ".calibration"
    assert (settings.timezone, settings.run_hour) == ("Europe/Zurich", 4)
    assert settings.policy == CalibrationConfiguration()


def test_an_empty_variable_counts_as_unset(monkeypatch):
    monkeypatch.setenv("CALIBRATION_DATABASE_URL", "")
    assert load_settings().database_url is None


def test_the_home_folder_becomes_absolute(monkeypatch):
    monkeypatch.setenv("CALIBRATION_HOME", "~/nights")
    assert load_settings().home == Path.home() / "nights"


def test_single_thresholds_of_the_policy_can_be_set(monkeypatch):
    monkeypatch.setenv("CALIBRATION_POLICY__MINIMUM_RESPONSES", "30")
    monkeypatch.setenv("CALIBRATION_POLICY__LINKING_SLOPE_RANGE", "0.9, 1.1")
    monkeypatch.setenv("CALIBRATION_POLICY__EM__QUADRATURE_NODES", "41")
    policy = load_settings().policy
    assert policy.minimum_responses == 30
    assert policy.linking_slope_range == (0.9, 1.1)
    assert policy.em.quadrature_nodes == 41
    assert policy.window_days == CalibrationConfiguration().window_days


def test_secrets_do_not_print(monkeypatch):
    monkeypatch.setenv("CALIBRATION_DATABASE_URL", "postgresql://me:hunter2@db/exams")
    monkeypatch.setenv("CALIBRATION_PSEUDONYM_KEY", "hunter2")
    assert "hunter2" not in repr(load_settings())


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CALIBRATION_RUN_HOUR", "24"),
        ("CALIBRATION_TIMEZONE", "Europe/Zuerich"),
        ("CALIBRATION_TIMEZONE", "/etc/localtime"),
        ("CALIBRATION_POLICY", "thirty"),
        ("CALIBRATION_POLICY__MINIMUM_RESPONSES", "many"),
        ("CALIBRATION_POLICY__MINIMUM_RESPONSE", "30"),
        ("CALIBRATION_POLICY__EM__NODES", "30"),
        ("CALIBRATION_POLICY__LINKING_SLOPE_RANGE", "0.9"),
        ("CALIBRATION_POLICY__LINKING_SLOPE_RANGE", "low,high"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_variable(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadInputError, match=rf"{variable}\b") as refusal:
        load_settings()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "address",
    [
        "http://user:hunter2@x y",
        "http://user:hunter2@watch.example/ping",
        "http://user:hun/ter2@watch.example",
        "http://[hunter2/ping",
        "http://watch.example/hunter2 and more",
        "http://hunter2\u2100.example/ping",
        "https://watch.example:hunter2/ping",
    ],
)
def test_a_watchdogs_address_that_cannot_be_called_is_refused_unsaid(monkeypatch, address):
    monkeypatch.setenv("CALIBRATION_HEARTBEAT_URL", address)
    with pytest.raises(BadInputError, match="CALIBRATION_HEARTBEAT_URL can't be used") as refusal:
        load_settings()
    assert "hun" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "address", ["https://hc.example/k@n?create=1", "http://127.0.0.1:8080/a%20b"]
)
def test_a_watchdogs_address_is_taken_as_it_is(monkeypatch, address):
    monkeypatch.setenv("CALIBRATION_HEARTBEAT_URL", address)
    found = load_settings().heartbeat_url
    assert found is not None
    assert found.get_secret_value() == address


@pytest.mark.parametrize("below", ["", "nights"])
def test_a_home_that_is_a_file_is_refused(monkeypatch, tmp_path, below):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CALIBRATION_HOME", str(tmp_path / "file" / below))
    line = f"CALIBRATION_HOME can't be used: {tmp_path / 'file'} is a file: name a folder"
    with pytest.raises(BadInputError, match=line):
        load_settings()


def test_the_retention_period_is_longer_than_the_window(monkeypatch):
    monkeypatch.setenv("CALIBRATION_RETENTION_DAYS", "61")
    assert load_settings().retention_days == 61
    monkeypatch.setenv("CALIBRATION_POLICY__WINDOW_DAYS", "31")
    with pytest.raises(BadInputError, match=r"^CALIBRATION_RETENTION_DAYS .* 61 days are too few"):
        load_settings()


def test_settings_import_nothing_heavy():
    code = "import sys, calibration_pipeline.settings; print(*sys.modules, sep='\\n')"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"numba", "pandas", "scipy", "dagster", "torch"} & set(result.stdout.split())


@pytest.mark.parametrize("url", ["hc.example/secret", "ftp://hc.example/secret", "https:///secret"])
def test_a_watchdog_without_a_web_address_is_refused_without_its_secret(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALIBRATION_HEARTBEAT_URL", url)
    with pytest.raises(BadInputError, match="CALIBRATION_HEARTBEAT_URL can't be used") as refusal:
        load_settings()
    assert "secret" not in str(refusal.value)
    monkeypatch.setenv("CALIBRATION_HEARTBEAT_URL", "https://hc.example/secret")
    assert "secret" not in repr(load_settings())


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("CALIBRATION_SOURCE_KIND", "CALIBRATION_SOURCE__KIND"),
        ("CALIBRATION_DATABSE_URL", "CALIBRATION_DATABASE_URL"),
        ("CALIBRATION_POLICY_WINDOW_DAYS", "CALIBRATION_POLICY__WINDOW_DAYS"),
        ("CALIBRATION_HOME__DIR", "CALIBRATION_HOME"),
        ("calibration_run_hours", "CALIBRATION_RUN_HOUR"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused_with_the_nearest(monkeypatch, variable, nearest):
    monkeypatch.setenv(variable, "hunter2")
    with pytest.raises(BadInputError, match=rf"{variable} \(nearest: {nearest}\)") as refusal:
        load_settings()
    assert "hunter2" not in str(refusal.value)
    monkeypatch.setenv(variable, "")
    load_settings()


def test_a_variable_like_no_other_is_refused_too(monkeypatch):
    monkeypatch.setenv("CALIBRATION_Q", "1")
    with pytest.raises(BadInputError, match="there is no setting CALIBRATION_Q: correct its name"):
        load_settings()


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("s3://bucket/nights/", "s3://bucket/nights"),
        ("gs://bucket", "gs://bucket"),
        ("~/days", str(Path.home() / "days")),
        ("file:///var/days", "/var/days"),
    ],
)
def test_the_archive_is_a_folder_or_a_bucket(monkeypatch, value, place):
    monkeypatch.setenv("CALIBRATION_ARCHIVE", value)
    settings = load_settings()
    assert settings.archive_place == place
    assert settings.written_folder == Path(tempfile.gettempdir() if "://" in place else place)


def test_without_a_setting_the_archive_is_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("CALIBRATION_HOME", str(tmp_path))
    assert load_settings().archive_place == str(tmp_path / "archive")


@pytest.mark.parametrize(
    "value",
    [
        "s3://AKIA:hunter2@bucket/nights",
        "s3://hunter2@bucket",
        "s3://bucket/nights?secret=hunter2",
        "s3://bucket/nights#hunter2",
        "s3:///hunter2",
        "simplecache::s3://bucket/hunter2",
        "s3://bucket/with space hunter2",
    ],
)
def test_an_archive_with_more_than_an_address_is_refused_and_not_repeated(monkeypatch, value):
    monkeypatch.setenv("CALIBRATION_ARCHIVE", value)
    with pytest.raises(BadInputError, match="CALIBRATION_ARCHIVE can't be used") as refusal:
        load_settings()
    assert "hunter2" not in str(refusal.value)
    assert "\n" not in str(refusal.value)
