"""One item's story: its answers summed up, its changes, its trajectory."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_meanings import MEANINGS
from calibration_pipeline.policy.flag_reasons import REASONS
from calibration_pipeline.policy.item_story import (
    change_in_words,
    changes_between,
    published_trajectory,
    tell_answers,
)
from calibration_pipeline.records import (
    FLAG_REASONS,
    CalibrationState,
    DayAnswers,
    ItemVersion,
    SnapshotItem,
)
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import FIRST_DAY, make_bank

NIGHT = FIRST_DAY
CONFIGURATION = CalibrationConfiguration(trust_threshold=100)


def version(number: int, night: date, **values: object) -> ItemVersion:
    item = SnapshotItem(
        key=("i1", 1), scale="main", discrimination=1.0, difficulty=0.5, guessing=0.2,
        discrimination_se=0.1, difficulty_se=0.2, guessing_se=0.05, covariance=(0.0,) * 9,
        track="provisional", source="fitted", window_count=20, total_count=20, at_bound="",
    )  # fmt: skip
    return ItemVersion(
        version=number, night=night, published_at=datetime(2026, 1, 1, tzinfo=UTC),
        scaling_constant=1.0, item=replace(item, **values), infit=1.0, outfit=1.0,  # type: ignore[arg-type]
        infit_se=0.1, outfit_se=0.1, is_contradicted=False,
    )  # fmt: skip


def state_with(window: int, total: int) -> CalibrationState:
    bank = make_bank(3)
    state = make_state(bank, np.tile([1.0, 0.5, 0.2], (3, 1)))
    days = tuple((NIGHT - timedelta(days=age), 1, "x") for age in range(4, -1, -1))
    return replace(
        state, partition=NIGHT, window=days,
        window_counts=np.array([window, 0, 0]), total_counts=np.array([total, 0, 0]),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("window", "total", "days"), [(20, 60, 10), (20, 100, 0), (0, 60, None), (20, 99, 1)]
)
def test_when_an_item_reaches_trust(window: int, total: int, days: int | None) -> None:
    state = state_with(window, total)
    with_answers = [day for day, *_ in state.window]
    told = tell_answers(state.keys[0], "main", state, [], with_answers, CONFIGURATION)
    assert told.days_to_trust == days
    assert told.a_day == window / 5


def test_days_on_which_it_was_not_given_do_not_count() -> None:
    days = [
        DayAnswers(NIGHT - timedelta(days=2), 0, 0, 0),
        DayAnswers(NIGHT - timedelta(days=1), 5, 4, 1),
        DayAnswers(NIGHT, 3, 3, 2),
    ]
    told = tell_answers(("i1", 1), "main", None, days, [], CONFIGURATION)
    assert (told.first_day, told.last_day) == (NIGHT - timedelta(days=1), NIGHT)
    assert (told.given, told.scored, told.share_right) == (8, 7, 3 / 7)
    nothing = tell_answers(("i1", 1), "main", None, days[:1], [], CONFIGURATION)
    assert (nothing.first_day, nothing.share_right, nothing.days_to_trust) == (None, None, None)


def test_changes_are_told_in_words() -> None:
    nights = [NIGHT + timedelta(days=n) for n in range(4)]
    versions = [
        version(1, nights[0]),
        version(2, nights[1]),
        version(3, nights[2], difficulty=0.7, track="trusted"),
        version(4, nights[3], difficulty=0.7, track="trusted", source="carried"),
    ]
    changes = changes_between(versions)
    words = [change_in_words(change) for change in changes]
    assert words == ["came", "", "moved, trusted now", "fitted → carried"]
    assert changes[2].difficulty is not None
    assert changes[2].difficulty.by == pytest.approx(0.2)


def test_a_night_that_was_published_twice_counts_as_it_stands_now() -> None:
    versions = [
        version(1, NIGHT, difficulty=0.1),
        version(2, NIGHT + timedelta(days=1), difficulty=0.2),
        version(3, NIGHT, difficulty=0.3),
    ]
    assert [own.difficulty for own in published_trajectory(versions)] == [0.3, 0.2]


def test_every_reason_has_a_meaning() -> None:
    assert set(MEANINGS) == set(REASONS) == set(FLAG_REASONS)
