"""`calibrate doctor`: checks, and how they end."""

import json
from pathlib import Path

import pytest

from calibration_pipeline.interfaces.cli import doctor, installation
from calibration_pipeline.interfaces.cli.installation import Check
from calibration_pipeline_tests.interfaces.conftest import Calibrate


def test_this_installation_recovers_the_truth_to_the_same_bytes(calibrate: Calibrate) -> None:
    result = calibrate("doctor", "--json")
    document = json.loads(result.stdout)
    checks = {check["name"]: check for check in document["checks"]}
    recovered = [check for name, check in checks.items() if name.startswith("Recovers")]
    assert len(recovered) == 3
    assert all(check["passed"] for check in recovered)
    assert checks["Same bytes again"]["passed"]
    assert checks["Compilation cache"]["passed"]
    assert document["passed"] == all(check["passed"] for check in checks.values())
    assert result.exit_code == (0 if document["passed"] else 1)


def test_the_archive_is_tried_and_a_folder_isnt_made_for_it(
    calibrate: Calibrate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_recoveries", lambda: iter(()))
    outcomes = []
    (tmp_path / "file").touch()
    for place in (tmp_path / "days", tmp_path / "file"):
        monkeypatch.setenv("CALIBRATION_ARCHIVE", str(place))
        checks = json.loads(calibrate("doctor", "--json").stdout)["checks"]
        outcomes.append({check["name"]: check["passed"] for check in checks}.get("Archive"))
    assert outcomes == [True, None]  # a file is refused with the settings
    assert not (tmp_path / "days").exists()


def test_an_archive_that_cant_be_opened_is_a_failed_check(
    calibrate: Calibrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_recoveries", lambda: iter(()))
    monkeypatch.setenv("CALIBRATION_ARCHIVE", "nonsense://bucket/days")
    checks = json.loads(calibrate("doctor", "--json").stdout)["checks"]
    (archive,) = [check for check in checks if check["name"] == "Archive"]
    assert not archive["passed"]
    assert "unknown kind" in archive["detail"]


def test_a_failed_check_ends_with_exit_code_1_and_says_what_to_do(
    calibrate: Calibrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Check("Compilation cache", False, "read-only", "set NUMBA_CACHE_DIR")
    monkeypatch.setattr(installation, "check_compilation_cache", lambda: failed)
    result = calibrate("doctor")
    assert result.exit_code == 1
    assert "set NUMBA_CACHE_DIR" in result.stdout
    (line,) = result.stderr.splitlines()
    assert "checks failed" in line
    assert "Compilation cache" in line


def test_settings_that_cannot_be_read_are_one_failed_check(
    calibrate: Calibrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALIBRATION_TIMEZONE", "Nowhere/Land")
    monkeypatch.setattr(doctor, "_recoveries", lambda: iter(()))
    document = json.loads(calibrate("doctor", "--json").stdout)
    settings = document["checks"][0]
    assert (settings["name"], settings["passed"]) == ("Settings", False)
    assert "TIMEZONE" in settings["detail"]
