"""Shell completion: scripts, what is offered, and what it costs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from calibration_pipeline.interfaces.cli import main
from calibration_pipeline_tests.interfaces.calibrated_commands import calibrated, loaded_template
from calibration_pipeline_tests.processes import PATIENCE_SECONDS, PROJECT
from calibration_pipeline_tests.programme import Programme

__all__ = ["calibrated", "loaded_template"]

HEAVY = ("numba", "scipy", "dagster", "pandas", "pyarrow", "matplotlib", "torch")
OFFERED_BY_HEART = {
    "calibrate fl": ["flags"],
    "calibrate flags list --reason mis": ["misfit_infit", "misfit_outfit"],
    "calibrate completion z": ["zsh"],
}


def complete(line: str, environment: dict[str, str], then: str = "") -> list[str]:
    """What bash would be offered for a line, in a process of its own."""
    words = line.split(" ")
    program = (
        "import sys\nfrom calibration_pipeline.interfaces.cli import main\n"
        f"try: main(prog_name='calibrate')\nfinally:\n    {then or 'pass'}\n"
    )
    own = {k: v for k, v in os.environ.items() if not k.startswith("CALIBRATION_")}
    own |= {"_CALIBRATE_COMPLETE": "bash_complete", "COMP_WORDS": line, "PYTHONPATH": str(PROJECT)}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=own | {"COMP_CWORD": str(len(words) - 1)} | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ended.stderr == ""
    return [found.removeprefix("plain,") for found in ended.stdout.split("\n") if found]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_calls_us(shell: str) -> None:
    printed = CliRunner().invoke(main, ["completion", shell])
    assert printed.exit_code == 0
    assert f"_CALIBRATE_COMPLETE={shell}_complete" in printed.stdout
    assert printed.stderr == ""


def test_bash_takes_the_script() -> None:
    script = CliRunner().invoke(main, ["completion", "bash"]).stdout
    check = f"{script}\ncomplete -p calibrate"
    found = subprocess.run(
        ["bash", "-c", check], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True
    )
    assert "_calibrate_completion" in found.stdout


@pytest.mark.parametrize("line", OFFERED_BY_HEART)
def test_what_needs_no_database_imports_nothing_heavy(line: str, tmp_path: Path) -> None:
    told = f"print('heavy', [m for m in {HEAVY} if m in sys.modules])"
    *offered, heavy = complete(line, {"CALIBRATION_HOME": str(tmp_path)}, told)
    assert offered == OFFERED_BY_HEART[line]
    assert heavy == "heavy []"


def test_items_and_versions_come_from_the_database(calibrated: Programme) -> None:
    url = calibrated.settings.database_url
    assert url is not None
    own = {"CALIBRATION_DATABASE_URL": url.get_secret_value()}
    told = f"print('heavy', [m for m in {HEAVY} if m in sys.modules])"
    *items, heavy = complete("calibrate item item-01", own, told)
    assert items == [f"item-01{n}" for n in range(10)]
    assert heavy == "heavy []"
    versions = complete("calibrate snapshots diff ", own)
    assert versions == ["current", *(str(number) for number in range(8, 0, -1))]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"CALIBRATION_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"},
        {"CALIBRATION_TIMEZONE": "Nowhere/None"},
    ],
    ids=["none yet", "cannot be reached", "wrong settings"],
)
def test_without_a_database_nothing_is_offered_said_or_made(
    settings: dict[str, str], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    assert complete("calibrate item i", {"CALIBRATION_HOME": str(home)} | settings) == []
    assert not home.exists()
