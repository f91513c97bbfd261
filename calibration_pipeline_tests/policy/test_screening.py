from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.simulation import (
    RapidGuesses,
    SelectionRule,
    SimulatedSessions,
    simulate_sessions,
)
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.screening import KnownScale, screen
from calibration_pipeline.records import DayResponses, DayRevision
from calibration_pipeline_tests.policy.days import Session, make_day, unscreened
from calibration_pipeline_tests.simulated import (
    draw_items,
    make_bank,
    make_pool,
    simulate_days,
)

BANK = make_bank(5)
ALL = np.ones(5, bool)
FEW = CalibrationConfiguration(
    minimum_session_answers=2, rapid_guess_minimum_times=2, minimum_group_sessions=2
)


def test_days_of_which_nothing_more_is_known_are_taken_as_they_are():
    pool = make_pool(60, 6, np.random.default_rng(1))
    days = simulate_days(pool, 4, np.random.default_rng(2))
    in_scale = np.arange(60) % 3 > 0
    plain = unscreened(days, pool.bank, in_scale, 10)
    screened = screen(
        days, pool.bank, in_scale, CalibrationConfiguration(minimum_session_answers=10)
    )
    for name in ("session_offsets", "item", "correct"):
        ours, theirs = getattr(screened.data, name), getattr(plain.data, name)
        assert (ours.tobytes(), ours.dtype) == (theirs.tobytes(), theirs.dtype)
    assert screened.sessions.tobytes() == plain.sessions.tobytes()
    assert screened.data.n_items == plain.data.n_items == 40
    assert (screened.data.weights, screened.data.cells, len(screened.copies)) == (None, None, 0)
    assert screened.basis.group_names == ("all",)


def test_short_sessions_are_dropped_after_absent_answers_and_counted():
    outcomes = ["scored", "not_reached", "invalid"]
    day = make_day(
        [
            Session([0, 1], [1, 0]),
            Session([0, 1, 2], [1, 0, 0], outcomes=outcomes),
            Session([3], [1]),
            Session([1, 2], [0, 0], outcomes=["omitted", "scored"]),
        ]
    )
    found = screen([day], BANK, ALL, FEW)
    assert found.sessions.tolist() == [0, 3]
    assert found.data.correct.tolist() == [1, 0, 0, 0]
    assert (found.counts.sessions, found.counts.answers, found.counts.short_sessions) == (2, 4, 2)
    assert (found.counts.omitted, found.counts.not_reached, found.counts.invalid) == (1, 1, 1)


def test_a_session_on_another_scale_is_not_a_short_one():
    found = screen([make_day([Session([0, 1], [1, 0]), Session([3, 4], [1, 1])])], BANK, ALL, FEW)
    of_first = screen(
        [make_day([Session([0, 1], [1, 0]), Session([3, 4], [1, 1])])], BANK, np.arange(5) < 2, FEW
    )
    assert (found.counts.short_sessions, of_first.counts.short_sessions) == (0, 0)
    assert of_first.sessions.tolist() == [0]


def test_the_policy_of_each_outcome_is_a_setting():
    outcomes = ["omitted", "not_reached", "invalid", "scored"]
    day = make_day([Session([0, 1, 2, 3], [0, 0, 0, 1], outcomes=outcomes)])
    others = replace(
        FEW, omitted_answers="absent", not_reached_answers="wrong", invalid_answers="wrong"
    )
    assert screen([day], BANK, ALL, FEW).data.item.tolist() == [0, 3]
    assert screen([day], BANK, ALL, others).data.item.tolist() == [1, 2, 3]


def test_later_exposures_become_answers_to_copies():
    days = [
        make_day([Session([0, 1], [1, 0], "ann"), Session([2, 1, 2], [1, 0, 1], "bob")]),
        make_day([Session([1, 4], [1, 1], "ann")], date(2026, 3, 11)),
    ]
    found = screen(days, BANK, ALL, FEW)
    assert found.copies.tolist() == [1, 2]
    assert found.data.n_items == 7
    assert found.data.item.tolist() == [0, 1, 2, 1, 6, 5, 4]
    assert found.data.item_counts.tolist() == [1, 2, 1, 0, 1, 1, 1]
    assert found.counts.repeated_exposures == 2
    kept_together = screen(days, BANK, ALL, replace(FEW, separate_repeated_exposures=False))
    assert kept_together.data.item.tolist() == [0, 1, 2, 1, 2, 1, 4]
    assert (kept_together.data.n_items, len(kept_together.copies)) == (5, 0)
    assert kept_together.counts.repeated_exposures == 2


def test_an_item_seen_in_a_session_that_is_too_short_is_not_new_afterwards():
    day = make_day([Session([0], [1], "ann"), Session([0, 1], [1, 0], "ann")])
    found = screen([day], BANK, ALL, FEW)
    assert found.data.item.tolist() == [5, 1]


def test_rapid_guesses_are_marked_and_weigh_what_the_setting_says():
    day = make_day(
        [
            Session([0, 1], [1, 0], times=[9000, 12_000]),
            Session([0, 1], [1, 0], times=[11_000, 300]),
            Session([0, 1], [1, 0], times=[10_000, 12_000]),
        ]
    )
    marked = screen([day], BANK, ALL, FEW)
    assert (marked.counts.rapid_guesses, marked.counts.timed_items) == (1, 2)
    assert marked.data.weights is None
    weighted = screen([day], BANK, ALL, replace(FEW, rapid_guess_weight=0.25))
    assert weighted.data.weights.tolist() == [1, 1, 1, 0.25, 1, 1]


def test_a_single_day_is_screened_by_what_its_window_taught():
    window = [make_day([Session([0, 1], [1, 0], times=[8000, 8000], start=0.0)] * 6)]
    basis = screen(window, BANK, ALL, FEW).basis
    # By itself, this day says that half a unit is where everybody starts.
    day = make_day([Session([0, 1], [1, 0], times=[799, 800], start=0.5)] * 3)
    alone = screen([day], BANK, ALL, FEW)
    assert (alone.counts.rapid_guesses, alone.basis.group_names) == (0, ("all",))
    groups = ("new", "north, known start", "known start")
    found = screen([day], BANK, ALL, FEW, basis=replace(basis, group_names=groups))
    assert found.counts.rapid_guesses == 3
    assert found.counts.group_sessions == (0, 0, 3)
    assert (found.data.cells.group.tolist(), found.data.cells.covariate.tolist()) == ([2], [0.5])


def test_candidates_with_a_known_start_stand_in_a_group_with_it():
    rows = [Session([0, 1], [1, 0], f"p{k}", start=0.0) for k in range(4)]
    rows += [Session([2, 3], [1, 0], f"q{k}", start=k / 2) for k in (1, 2)]
    rows += [Session([4], [1], "short", start=3.0)]
    found = screen([make_day(rows)], BANK, ALL, FEW)
    cells = found.data.cells
    assert found.basis.common_start == 0.0
    assert found.basis.group_names == ("new", "known start")
    assert found.counts.group_sessions == (4, 2)
    assert cells.group[cells.cell].tolist() == [0, 0, 0, 0, 1, 1]
    assert cells.covariate[cells.cell].tolist() == [0, 0, 0, 0, 0.5, 1.0]
    off = replace(FEW, use_starting_ability=False, use_population_groups=False)
    assert screen([make_day(rows)], BANK, ALL, off).data.cells is None


def _archived(bank, taken: SimulatedSessions) -> DayResponses:
    n_sessions, answers = taken.item.shape
    return DayResponses(
        DayRevision(date(2026, 3, 10), 1, "", taken.item.size, n_sessions, {}),
        bank.keys,
        np.arange(n_sessions + 1, dtype=np.int64) * answers,
        taken.item.ravel(),
        taken.correct.ravel(),
        np.zeros(n_sessions, "V16"),
        np.zeros(n_sessions, "V16"),
    )


@pytest.fixture(scope="module")
def guessing():
    """2,000 adaptive sessions, the second half of whose answers is guessed in the first 200."""
    generator = np.random.default_rng(4)
    truth, bank = draw_items(400, generator), make_bank(400)
    given = np.zeros((2000, 30), bool)
    given[:200, 15:] = True
    taken = simulate_sessions(
        generator.normal(size=2000), truth, truth, SelectionRule(30, 0.2), generator,
        guesses=RapidGuesses(given, np.full(400, 0.25)),
    )  # fmt: skip
    return truth, bank, _archived(bank, taken)


def test_aberrant_sessions_are_marked_and_weigh_what_the_setting_says(guessing):
    truth, bank, day = guessing
    known = KnownScale(truth, Population(), ("all",))
    settings = CalibrationConfiguration(aberrant_session_z=2.5, aberrant_session_weight=0.5)
    found = screen([day], bank, np.ones(400, bool), settings, known=known)
    halved = found.data.weights.reshape(2000, 30) == 0.5
    assert (halved.all(axis=1) == halved.any(axis=1)).all()
    assert halved[:200, 0].mean() > 0.3
    assert halved[200:, 0].mean() < 0.02
    assert found.counts.aberrant_sessions == halved[:, 0].sum()
    assert found.counts.judged_sessions == 2000
    marked = screen([day], bank, np.ones(400, bool), CalibrationConfiguration(), known=known)
    assert marked.counts.aberrant_sessions > 0
    assert marked.data.weights is None


def test_sessions_are_not_judged_without_knowledge_of_items_and_group(guessing):
    truth, bank, day = guessing
    everything = np.ones(400, bool)
    settings = CalibrationConfiguration()
    assert screen([day], bank, everything, settings).counts.judged_sessions == 0
    stranger = KnownScale(truth, Population(), ("north, new",))
    assert screen([day], bank, everything, settings, known=stranger).counts.judged_sessions == 0
    nothing = KnownScale(np.full((400, 3), np.nan), Population(), ("all",))
    assert screen([day], bank, everything, settings, known=nothing).counts.judged_sessions == 0


def test_no_days_give_nothing():
    known = KnownScale(np.ones((5, 3)), Population(), ("all",))
    found = screen([], BANK, ALL, FEW, known=known)
    assert (found.data.n_sessions, found.data.n_responses, found.data.n_items) == (0, 0, 5)
    assert found.counts.group_sessions == (0,)


def test_the_same_days_give_the_same_bytes():
    pool = make_pool(40, 0, np.random.default_rng(7))
    generator = np.random.default_rng(8)
    days = []
    for number in range(3):
        data = simulate_days(pool, 1, generator)[0]
        n = len(data.session_offsets) - 1
        people = np.array([f"p{k}".encode() for k in generator.integers(0, 90, n)], "S16")
        days.append(
            replace(
                data,
                revision=replace(data.revision, day=date(2026, 1, 1) + timedelta(days=number)),
                candidate_pseudonyms=people.view("V16"),
                starting_ability=np.where(generator.random(n) < 0.5, 0.0, generator.normal(size=n)),
                time_on_task_ms=generator.integers(1, 60_000, len(data.item)).astype(np.int32),
            )
        )
    settings = CalibrationConfiguration(
        rapid_guess_minimum_times=10, rapid_guess_weight=0.0, minimum_group_sessions=10
    )
    known = KnownScale(pool.truth, Population([0, 0], [1, 1]), ("new", "known start"))
    first, again = (
        screen(days, pool.bank, np.ones(40, bool), settings, known=known) for _ in range(2)
    )
    assert first.counts == again.counts
    assert min(first.counts.repeated_exposures, first.counts.rapid_guesses) > 0
    for name in ("item", "correct", "weights"):
        assert getattr(first.data, name).tobytes() == getattr(again.data, name).tobytes()
    assert first.data.cells.covariate.tobytes() == again.data.cells.covariate.tobytes()
