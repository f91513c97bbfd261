"""Checks of what is installed."""

from importlib.metadata import version
from pathlib import Path

import numba
import pytest

from calibration_pipeline.interfaces.cli import installation
from calibration_pipeline.interfaces.cli.installation import (
    check_linear_algebra,
    check_pins,
    check_requirements,
    check_threads,
    needed_packages,
    read_pins,
)


def pins(folder: Path, *lines: str) -> Path:
    path = folder / "constraints.txt"
    path.write_text("\n".join(["# exact versions", "", *lines]))
    return path


def test_what_is_declared_is_installed() -> None:
    check = check_requirements()
    assert check.passed, check.detail


def test_a_missing_or_older_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"numpy": None, "scipy": "1.0"}
    monkeypatch.setattr(installation, "installed_version", lambda name: found.get(name, "99"))
    check = check_requirements()
    assert not check.passed
    assert check.detail.endswith(" more")
    monkeypatch.setattr(installation, "NAMED", 99)
    named = check_requirements().detail
    assert "numpy>=2.2 (installed: none)" in named
    assert "scipy>=1.15 (installed: 1.0)" in named


def test_the_pins_of_the_project_are_read() -> None:
    assert read_pins(installation.CONSTRAINTS)["numpy"] == version("numpy") != ""
    assert {"numpy", "sqlalchemy", "greenlet", "llvmlite"} <= needed_packages()
    assert "pytest" not in needed_packages()


def test_a_pin_that_is_not_met_fails_only_where_the_package_is_needed(tmp_path: Path) -> None:
    other = check_pins(pins(tmp_path, "NumPy==1.0", "not-installed==1"))
    assert not other.passed
    assert other.detail == f"numpy {version('numpy')} (pinned: 1.0)"
    assert "--constraint" in other.remedy
    linter = check_pins(pins(tmp_path, f"numpy=={version('numpy')}", "pytest==1.0"))
    assert linter.passed
    assert "pytest" in linter.detail


def test_a_wheel_has_no_pins(tmp_path: Path) -> None:
    check = check_pins(tmp_path / "constraints.txt")
    assert check.passed
    assert "ranges alone" in check.detail


def test_more_threads_than_cores_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    from calibration_pipeline_tests.policy.table_cases import fitted, simulated

    fitted(simulated(4, 20)[1], "Rasch")  # something has to have run in parallel
    monkeypatch.setattr(installation, "usable_cores", lambda: numba.get_num_threads())
    assert check_threads().passed
    monkeypatch.setattr(installation, "usable_cores", lambda: numba.get_num_threads() - 1)
    assert "NUMBA_NUM_THREADS" in check_threads().remedy


def test_linear_algebra_is_tried() -> None:
    assert check_linear_algebra().passed
