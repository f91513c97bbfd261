import numpy as np
import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.gathering import gather
from calibration_pipeline.policy.population_groups import (
    EVERYBODY,
    assign_groups,
    choose_groups,
    common_start,
    population_cells,
    session_labels,
)
from calibration_pipeline_tests.policy.days import Session, make_day
from calibration_pipeline_tests.simulated import make_bank

SETTINGS = CalibrationConfiguration()
BANK = make_bank(1)


def _answers(*sessions):
    return gather([make_day(sessions)], BANK, np.ones(1, bool))


def _one(person="", start=np.nan, group=""):
    return Session([0], [1], person, start, group)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0] * 3 + [0.1, 0.2], 0.0),
        ([0.0] * 2 + [0.1, 0.2], np.nan),  # two may be chance
        ([-1.0] * 3 + list(np.linspace(0, 1, 28)), np.nan),  # less than a tenth
        ([-1.0] * 4 + list(np.linspace(0, 1, 36)), -1.0),
        ([np.nan] * 9 + [0.5] * 3, 0.5),
        ([np.nan], np.nan),
        ([], np.nan),
    ],
)
def test_the_common_start_is_what_a_tenth_of_the_sessions_share(values, expected):
    assert common_start(np.array(values, float)) == pytest.approx(expected, nan_ok=True)


def test_what_is_known_about_a_candidate_is_new_returning_or_the_start():
    answers = _answers(
        _one("ann", 0.0), _one("bob", 0.7), _one("eve"), _one("ann", 0.0), _one("bob", 0.9),
        _one("eve"), _one("kim", 0.0),
    )  # fmt: skip
    label, labels = session_labels(answers, 0.0, SETTINGS)
    assert [labels[k] for k in label] == [
        "new", "known start", "new", "returning", "known start", "returning", "new",
    ]  # fmt: skip
    off = CalibrationConfiguration(use_starting_ability=False)
    label, labels = session_labels(answers, 0.0, off)
    assert [labels[k] for k in label] == [
        "new", "returning", "new", "returning", "returning", "returning", "new",
    ]  # fmt: skip


def test_without_a_common_start_every_start_is_a_known_one():
    label, labels = session_labels(_answers(_one(start=0.0), _one()), np.nan, SETTINGS)
    assert [labels[k] for k in label] == ["known start", "new"]


def test_groups_of_the_log_are_split_by_what_is_known():
    answers = _answers(
        _one(group="north"), _one(start=1.0, group="east"), _one(), _one(start=1.0, group="north")
    )
    label, labels = session_labels(answers, 0.0, SETTINGS)
    assert [labels[k] for k in label] == [
        "north, new", "east, known start", "new", "north, known start",
    ]  # fmt: skip
    off = CalibrationConfiguration(use_population_groups=False)
    label, labels = session_labels(answers, 0.0, off)
    assert [labels[k] for k in label] == ["new", "known start", "new", "known start"]
    off = CalibrationConfiguration(use_population_groups=False, use_starting_ability=False)
    assert session_labels(answers, 0.0, off)[1] == EVERYBODY


LABELS = (
    "new", "returning", "known start",
    "a, new", "a, returning", "a, known start",
    "b, new", "b, returning", "b, known start",
)  # fmt: skip


def test_small_groups_are_merged_and_the_largest_stands_first():
    label = np.repeat([0, 2, 3, 5, 6, 8], [5, 9, 300, 250, 199, 200])
    names = choose_groups(label, LABELS, 200)
    assert names == ("a, new", "a, known start", "b, known start")
    merged = assign_groups(np.arange(9), LABELS, names)
    assert [names[k] for k in merged] == [
        "a, new", "a, new", "a, known start",
        "a, new", "a, new", "a, known start",
        "a, new", "a, new", "b, known start",
    ]  # fmt: skip


def test_one_group_of_which_nothing_is_known_is_everybody():
    assert choose_groups(np.zeros(5, int), LABELS, 200) == EVERYBODY
    assert choose_groups(np.empty(0, int), LABELS, 200) == EVERYBODY
    assert choose_groups(np.full(5, 2), LABELS, 200) == EVERYBODY
    assert choose_groups(np.full(200, 0), LABELS, 200) == EVERYBODY
    assert choose_groups(np.full(200, 2), LABELS, 200) == ("known start",)


def test_a_session_goes_to_the_largest_group_when_none_is_like_it():
    assert assign_groups(np.array([2]), LABELS, EVERYBODY).tolist() == [0]
    assert assign_groups(np.array([0]), LABELS, ("known start",)).tolist() == [0]


def test_known_starts_are_the_covariate_and_other_groups_have_none():
    group = np.array([0, 1, 1, 0, 1, 1])
    start = np.array([0.0, 0.5, -9.0, 0.3, 0.5, np.nan])
    cells = population_cells(group, ("new", "known start"), start)
    assert cells.group[cells.cell].tolist() == group.tolist()
    # The last one has the mean of 0.5, −4 (clipped) and 0.5.
    assert cells.covariate[cells.cell].tolist() == [0.0, 0.5, -4.0, 0.0, 0.5, -1.0]
    assert cells.cell[1] == cells.cell[4]
    assert len(cells.group) == 4


def test_the_covariate_is_binned_finely_and_into_few_cells():
    start = np.random.default_rng(1).normal(0.0, 1.5, 50_000)
    cells = population_cells(np.zeros(50_000, int), ("known start",), start)
    assert np.abs(cells.covariate[cells.cell] - start.clip(-4, 4)).max() <= 1 / 128
    assert len(cells.group) <= 513
    assert (cells.cell.dtype, cells.group.dtype) == (np.int32, np.int64)


def test_one_cell_for_all_is_none():
    start = np.array([0.5, 0.5])
    assert population_cells(np.zeros(2, int), EVERYBODY, start) is None
    cells = population_cells(np.array([0, 1]), ("new", "returning"), start)
    assert (cells.covariate == 0.0).all()
    # One session of a day still has to be told which of the groups it is of.
    assert population_cells(np.zeros(1, int), ("new", "returning"), start[:1]) is not None
