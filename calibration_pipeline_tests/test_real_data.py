"""Real answers: the milestones of docs/real-data.md, against statistics that assume no population.

The data set stands beside the project; without it these tests skip, saying so.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.night import calibrate_night
from calibration_pipeline.records import CalibrationState, DayResponses, ItemBank
from calibration_pipeline_tests.reference_data import reference_file
from calibration_pipeline_tests.simulated import (
    NO_ANCHORS,
    day_from_data,
    first_fits,
    make_bank,
    night_inputs,
)
from studies.childdev_replay import FIRST_BIRTH, FIRST_NIGHT, ROOT, read_answers
from studies.childdev_report import agreement, compare, pooled_correlations
from studies.classical import examination_of

DATA = "childdev_smocc_DEV.parquet"
NIGHTS = 5
SETTINGS = CalibrationConfiguration(
    em=EMConfiguration(
        quadrature_nodes=161, quadrature_bound=20.0, difficulty_bounds=(-20.0, 20.0)
    ),
    prior_difficulty=(0.0, 3.0),
    population_sd_range=(0.2, 10.0),
)
"""As `SETTINGS` of the replay."""


@pytest.fixture(scope="module")
def answers() -> pd.DataFrame:
    answers, dropped = read_answers(reference_file(DATA))
    assert (len(answers), dropped) == (164_885, 1_236)
    return answers


@pytest.fixture(scope="module")
def seen(answers: pd.DataFrame) -> pd.DataFrame:
    """What is in the windows of the nights."""
    first = pd.Timestamp(FIRST_NIGHT - timedelta(days=SETTINGS.window_days - 1))
    last = pd.Timestamp(FIRST_NIGHT + timedelta(days=NIGHTS - 1))
    return answers[answers["day"].between(first, last)]


@pytest.fixture(scope="module")
def bank(answers: pd.DataFrame) -> ItemBank:
    scale_of = examination_of(answers).sort_index()
    names = sorted(set(scale_of))
    bank = make_bank(
        len(scale_of),
        scales=dict.fromkeys(names, "Rasch"),
        scale_index=[names.index(name) for name in scale_of],
    )
    return replace(bank, keys=tuple((item, 1) for item in scale_of.index))


@pytest.fixture(scope="module")
def states(seen: pd.DataFrame, bank: ItemBank) -> list[CalibrationState]:
    """Five nights with full windows; from the second on, one day a night leaves."""
    nights = [FIRST_NIGHT + timedelta(days=number) for number in range(NIGHTS)]
    return _calibrated(nights, seen, bank)


def _calibrated(
    nights: Sequence[date], answers: pd.DataFrame, bank: ItemBank
) -> list[CalibrationState]:
    days = [_archived(day.date(), rows, bank) for day, rows in answers.groupby("day")]
    states: list[CalibrationState] = []
    for night in nights:
        accepted = [state for state in states if state.is_accepted]
        inputs = night_inputs(
            night, days, bank, NO_ANCHORS, SETTINGS,
            parent=accepted[-1] if accepted else None,
            baselines={
                name: state for state in reversed(accepted) for name in first_fits(state)
            },
        )  # fmt: skip
        states.append(calibrate_night(inputs, SETTINGS))
    return states


def _archived(day: date, rows: pd.DataFrame, bank: ItemBank) -> DayResponses:
    position = {item_id: number for number, (item_id, _) in enumerate(bank.keys)}
    lengths = rows.groupby("session_id", sort=True).size().to_numpy()
    data = ResponseData(
        session_offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        item=rows["item_id"].map(position).to_numpy(np.int32),
        correct=rows["correct"].to_numpy(np.uint8),
        n_items=bank.n_items,
    )
    return day_from_data(day, bank, data)


@pytest.fixture(scope="module")
def compared(
    states: list[CalibrationState], bank: ItemBank, answers: pd.DataFrame, seen: pd.DataFrame
) -> pd.DataFrame:
    """Difficulties of the last night beside classical ones, by item."""
    last = states[-1]
    items = pd.DataFrame(
        {
            "scale": [bank.scale_names[scale] for scale in bank.scale_index],
            "difficulty": last.parameters[:, 1],
            "difficulty_se": np.sqrt(last.covariance[:, 1, 1]),
            "total_count": last.total_counts,
        },
        index=[item_id for item_id, _ in bank.keys],
    )
    return compare(items, answers, seen)


def test_every_night_is_accepted(states: list[CalibrationState]) -> None:
    assert [state.reasons for state in states] == [()] * NIGHTS


def test_difficulties_rank_as_the_ages_at_which_half_of_the_children_pass(
    compared: pd.DataFrame,
) -> None:
    """Some neighbours lie closer than their errors, and the first scale's ages are extrapolated.

    The replay of sixty nights, with three times as many answers, is judged more strictly.
    """
    assert len(compared) >= 30
    assert agreement(compared)["rank_age"].mean() > 0.75
    assert pooled_correlations(compared)["log_age"] > 0.8


def test_difficulties_rank_as_the_proportions_correct_of_one_examination(
    compared: pd.DataFrame,
) -> None:
    assert agreement(compared)["rank_proportion"].max() <= -0.9


def test_difficulties_are_those_of_pairwise_comparison(compared: pd.DataFrame) -> None:
    """Which needs no population: the two peaks of a scale's abilities did no harm."""
    agreed = agreement(compared)
    assert agreed["pairwise_slope"].between(0.8, 1.25).all()
    assert (agreed["pairwise_rmse"] < agreed["median_se"]).all()
    assert pooled_correlations(compared)["pairwise"] > 0.98


def test_days_that_leave_the_window_do_not_move_a_scale(
    states: list[CalibrationState], bank: ItemBank
) -> None:
    """A day's ten sessions are abler or weaker by chance; without anchors that must not count."""
    for number, name in enumerate(bank.scale_names):
        if states[0].scales[number].fitted:
            means = [s.parameters[bank.scale_index == number, 1].mean() for s in states]
            assert np.ptp(means) < 0.15, name
    intercepts = [scale.linking_intercept for state in states for scale in state.scales]
    assert np.abs(intercepts).max() < 0.15


def test_a_scale_that_begins_is_not_said_to_have_moved(
    answers: pd.DataFrame, bank: ItemBank
) -> None:
    """Between nights without and with enough answers lies a prior's mode, which is no estimate."""
    nights = [FIRST_BIRTH + timedelta(days=age) for age in (10, 60)]
    first_weeks = answers[answers["day"] <= pd.Timestamp(nights[-1])]
    empty, begun = _calibrated(nights, first_weeks, bank)
    assert not any(scale.fitted for scale in empty.scales)
    assert begun.scales[0].fitted
    assert begun.is_accepted, begun.reasons


@pytest.mark.slow
def test_sixty_nights_through_every_command(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "studies" / "childdev_replay.py"]
    options = ["--data", reference_file(DATA), "--out", tmp_path, "--nights", "60"]
    subprocess.run([*command, *options], check=True, timeout=900)
    summary = json.loads((tmp_path / "summary.json").read_text())
    # The first night reads its whole window, so all of them have enough answers to publish.
    assert summary["outcomes"] == {"completed": 60}
    # The youngest brings this one down: half would pass its items before any of them is asked.
    assert summary["correlations"]["log_age"] > 0.8
    assert summary["correlations"]["logit"] < -0.9
    assert summary["correlations"]["pairwise"] > 0.98
