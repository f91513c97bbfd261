"""A short selection of the fault suite; ``make faults`` runs a thousand of them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from calibration_pipeline_tests.faults.faults import (
    ACTIONS,
    CUT,
    CUT_AND_SUCCEEDED,
    DISK_FULL,
    KILLED,
    RESTARTED,
    SUCCEEDED,
    kinds_at,
)
from calibration_pipeline_tests.faults.points import AFTER, BEFORE, BOUNDARIES, POINTS, STEP_OF
from calibration_pipeline_tests.faults.trials import full_deck, moment, plan_trial, unreached
from calibration_pipeline_tests.processes import PROJECT

FAULTS = 12
"""Six trials: enough to deal every kind, and to strike every step."""
LONGEST_SECONDS = 600


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the suite says of a few faults, in a process of its own: it forks."""
    written: Path = tmp_path_factory.mktemp("faults") / "summary.json"
    command = [sys.executable, "-m", "calibration_pipeline_tests.faults.run"]
    finished = subprocess.run(
        [*command, "--faults", str(FAULTS), "--workers", "1", "--json", str(written)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert written.exists(), finished.stderr
    found: dict[str, Any] = json.loads(written.read_text())
    assert finished.returncode == bool(found["violations"])
    return found


def test_nothing_is_lost_doubled_or_torn(summary: dict[str, Any]) -> None:
    assert summary["violations"] == []
    assert summary["faults"] >= FAULTS
    assert summary["reads"] > summary["trials"]


def test_a_few_faults_are_of_every_kind_and_strike_every_step(summary: dict[str, Any]) -> None:
    assert set(summary["kinds"]) == set(ACTIONS)
    assert set(summary["steps"]) >= set(BOUNDARIES)


def test_an_undisturbed_night_comes_to_every_point(summary: dict[str, Any]) -> None:
    assert unreached(summary["visits"]) == []


def test_a_point_that_is_not_reached_empties_no_suite_in_silence(summary: dict[str, Any]) -> None:
    visits = {name: dict(counts) for name, counts in summary["visits"].items()}
    del visits["one night"][moment("publishing", AFTER)]
    assert unreached(visits) == ["after publishing"]
    with pytest.raises(ValueError, match="never comes to after publishing"):
        full_deck(0, visits)


@pytest.mark.parametrize("step", BOUNDARIES)
def test_every_step_can_be_struck_by_every_kind_of_the_list(step: str) -> None:
    points = [point for point in POINTS if point.step == step]
    kinds = {
        kind for point in points for when in (BEFORE, AFTER) for kind in kinds_at(point.name, when)
    }
    assert kinds >= {KILLED, RESTARTED, CUT, CUT_AND_SUCCEEDED}
    assert (DISK_FULL in kinds) == (step in ("extraction", "archive write"))
    if any(point.is_between for point in points):
        assert SUCCEEDED in kinds


def test_the_deck_holds_every_fault_and_a_trial_can_be_repeated(summary: dict[str, Any]) -> None:
    visits = summary["visits"]
    deck = full_deck(3, visits)
    moments = [(point, when) for point in STEP_OF for when in (BEFORE, AFTER)]
    assert set(deck) == {(kind, *at) for at in moments for kind in kinds_at(*at)}
    dealt = [plan_trial(number, 3, deck, visits) for number in range(len(deck))]
    assert dealt == [plan_trial(number, 3, deck, visits) for number in range(len(deck))]
    faults = [fault for trial in dealt for fault in trial.faults][: len(deck)]
    assert [(fault.kind, fault.point, fault.when) for fault in faults] == deck
