"""Nothing is counted twice or lost, whatever became of the nights before: skipped, rejected, run
again, run out of order, or run under another window. On the pure function alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calibration_pipeline.irt.model import standard_errors
from calibration_pipeline.policy import contradiction
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import CalibrationState, DayResponses, FloatArray, IntArray
from calibration_pipeline_tests.policy.chain import Chain, day
from calibration_pipeline_tests.simulated import Traffic, make_pool, simulate_days

SETTINGS = replace(CalibrationConfiguration(), window_days=4, maximum_moved_share=1.0)
REJECTING = {"population_mean_range": (2.9, 3.0)}
"""No night's population has such a mean."""
TRAFFIC = Traffic(sessions=60, answers=20, pool_share=1.0)
POOL = make_pool(60, 16, np.random.default_rng(0))
UNANCHORED = make_pool(60, 0, np.random.default_rng(0), model="2PL")
NIGHTS = 12
DAYS = simulate_days(POOL, NIGHTS, np.random.default_rng(1), TRAFFIC)
UNANCHORED_DAYS = simulate_days(UNANCHORED, NIGHTS, np.random.default_rng(1), TRAFFIC)


def answers_given(days: Sequence[DayResponses], number: int) -> IntArray:
    """Answers to each item until a night, ``(n_items,)``."""
    items = np.concatenate([day.item for day in days[: number + 1]])
    return np.bincount(items, minlength=60)


def assert_each_counts_once(chain: Chain, state: CalibrationState) -> None:
    number = (state.partition - day(0)).days
    assert chain.days_counted(state) == [day(n) for n in range(number + 1)]
    np.testing.assert_array_equal(state.total_counts, answers_given(chain.days, number))


@pytest.fixture(scope="module")
def undisturbed() -> Chain:
    return Chain(POOL, DAYS, SETTINGS).run_all(range(NIGHTS))


@pytest.fixture(scope="module")
def undisturbed_unanchored() -> Chain:
    return Chain(UNANCHORED, UNANCHORED_DAYS, SETTINGS).run_all(range(NIGHTS))


# Catching up in order

ATTEMPTS = st.one_of(
    st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=7),
    st.permutations([(n, False) for n in range(8)]),
)
"""Nights in any order, and whether each try at them is rejected; or all of them, and none is."""
AN_OUTAGE = [(0, False), (1, False), (2, False), (6, False), (7, False), (3, False)]
A_REPEAT = [(n, False) for n in range(6)] + [(2, False), (6, False)]
ALL_REJECTED_ONCE = [(n, True) for n in range(8)]
A_LATE_START = [(5, False), (6, False), (4, True), (3, False), (5, True)]
ONE_NIGHT_LATE = [(n, False) for n in (0, 1, 2, 4, 5, 6, 7, 3)]
THE_FIRST_NIGHT_LATE = [(n, False) for n in (1, 2, 3, 4, 5, 6, 7, 0)]


@pytest.mark.parametrize(
    "reference",
    [pytest.param("undisturbed", marks=pytest.mark.slow), "undisturbed_unanchored"],
)
@settings(max_examples=8, derandomize=True)
@given(attempts=ATTEMPTS)
@example(attempts=AN_OUTAGE)
@example(attempts=A_REPEAT)
@example(attempts=ALL_REJECTED_ONCE)
@example(attempts=A_LATE_START)
@example(attempts=ONE_NIGHT_LATE)
@example(attempts=THE_FIRST_NIGHT_LATE)
def test_catching_up_in_order_ends_in_the_undisturbed_bytes(
    reference: str, request: pytest.FixtureRequest, attempts: list[tuple[int, bool]]
) -> None:
    """From the first night that is missing or stale; those before it have the bytes already."""
    whole: Chain = request.getfixturevalue(reference)
    expected = {night: whole.accepted[night].digest for night in map(day, range(8))}
    chain = Chain(whole.pool, whole.days, SETTINGS)
    for number, is_rejected in attempts:
        chain.run(number, **(REJECTING if is_rejected else {}))
    missing = [night for night in expected if night not in chain.accepted]
    for night in sorted(expected):
        if night >= min([*missing, *chain.stale()], default=date.max):
            chain.run_all(range((night - day(0)).days, 8))
            break
        assert chain.accepted[night].digest == expected[night]
    assert {night: state.digest for night, state in chain.accepted.items()} == expected
    assert chain.stale() == []


# Nights that are left out

GAPS = {
    "one night": {6},
    "the second night": {1},
    "three nights": {5, 6, 7},
    "longer than the window": {3, 4, 5, 6, 7, 8},
    "now and then": {0, 3, 4, 8, 10},
}


@pytest.mark.parametrize("is_rejected", [False, True], ids=["skipped", "rejected"])
@pytest.mark.parametrize("gap", GAPS.values(), ids=GAPS)
def test_days_of_nights_that_were_left_out_are_folded_later_and_once(
    undisturbed: Chain, gap: set[int], is_rejected: bool
) -> None:
    chain = Chain(POOL, DAYS, SETTINGS)
    for number in range(NIGHTS):
        if number not in gap:
            state = chain.run(number)
            usual = undisturbed.accepted[day(number)]
            assert (state.window, state.folded_through) == (usual.window, usual.folded_through)
            np.testing.assert_array_equal(state.window_counts, usual.window_counts)
            assert_each_counts_once(chain, state)
        elif is_rejected:
            state = chain.run(number, **REJECTING)
            assert not state.is_accepted
            assert_each_counts_once(chain, state)
    assert len(chain.accepted) == NIGHTS - len(gap)


def standardised_gap(state: CalibrationState, other: CalibrationState) -> FloatArray:
    """Distance of two nights' estimates in standard errors, ``(n_free_items, 3)``."""
    free = ~state.is_anchor
    gap = np.abs(state.parameters - other.parameters)[free]
    return np.asarray(gap / standard_errors(state.parameters, state.covariance)[free])


@pytest.mark.parametrize("is_rejected", [False, True], ids=["skipped", "rejected"])
def test_after_a_night_was_left_out_estimates_are_within_a_tenth_of_a_standard_error(
    is_rejected: bool,
) -> None:
    """Its day is folded at other estimates than it would have been: that is all the difference.

    Under a window of the usual length. One of 4 days leaves the estimates so loose that a night
    makes a difference of up to 0.2 for single items.
    """
    days = simulate_days(POOL, 36, np.random.default_rng(1), TRAFFIC)
    usual, chain = (Chain(POOL, days, replace(SETTINGS, window_days=30)) for _ in range(2))
    for number in range(29, 36):
        expected = usual.run(number)
        if number != 32:
            found = chain.run(number)
        elif is_rejected:
            assert not chain.run(number, **REJECTING).is_accepted
        if number > 32:
            gap = standardised_gap(expected, found)
            assert 0.0 < gap.max() < 0.1
            assert np.sqrt(np.square(gap).mean()) < 0.03


# Windows of another length


@pytest.mark.parametrize("skipped", [set(), {4, 8}, {3, 4, 5, 7}], ids=["all", "two", "four"])
@pytest.mark.parametrize(
    "lengths", [(4, 6, 3), (3, 6, 4), (6, 1, 6)], ids=lambda found: "-".join(map(str, found))
)
def test_a_window_of_another_length_counts_nothing_twice_and_loses_nothing(
    lengths: tuple[int, int, int], skipped: set[int]
) -> None:
    chain = Chain(POOL, DAYS, SETTINGS)
    for number in range(NIGHTS):
        if number not in skipped:
            length = lengths[number * 3 // NIGHTS]
            state = chain.run(number, window_days=length)
            assert state.is_accepted
            assert len(state.window) <= length
            assert_each_counts_once(chain, state)


# Items that lost what they carried


CHANGES_ON = 8
CHANGED_NIGHTS = 18


@pytest.fixture(scope="module")
def changed_item() -> int:
    """The one whose answers say most about it, among those that can become harder by 2."""
    usable = ~POOL.is_anchor & (POOL.truth[:, 1] < 0.0)
    return int(np.argmax(np.where(usable, POOL.truth[:, 0], 0.0)))


@pytest.fixture(scope="module")
def days_with_a_change(changed_item: int) -> list[DayResponses]:
    harder = POOL.truth.copy()
    harder[changed_item, 1] += 2.0
    before = simulate_days(POOL, CHANGES_ON, np.random.default_rng(1), TRAFFIC)
    after = simulate_days(
        replace(POOL, truth=harder), CHANGED_NIGHTS, np.random.default_rng(2), TRAFFIC
    )
    return before + after[CHANGES_ON:]


@pytest.fixture
def changed(days_with_a_change: list[DayResponses], monkeypatch: pytest.MonkeyPatch) -> Chain:
    # Some ten answers per item and day: too few for the rule that both samples must say enough.
    monkeypatch.setattr(contradiction, "LEAST_INFORMATION", 0.01)
    return Chain(POOL, days_with_a_change, replace(SETTINGS, contradiction_z=4.0))


def test_an_item_that_changed_loses_what_it_carries_once_and_for_good(
    changed: Chain, changed_item: int
) -> None:
    changed.run_all(range(CHANGED_NIGHTS))
    states = list(changed.stored.values())
    losses = [
        (n, j) for n, state in enumerate(states) for j in np.flatnonzero(state.is_contradicted)
    ]
    ((lost_on, item),) = losses
    assert item == changed_item
    assert CHANGES_ON <= lost_on < CHANGES_ON + SETTINGS.window_days
    first_to_carry = lost_on + 1
    for number, state in enumerate(states):
        carries = state.carried_information[item].any(), state.carried_linear[item].any()
        if number < lost_on:
            assert np.isnat(state.carried_from[item])
            assert carries == (number >= SETTINGS.window_days,) * 2
        else:
            assert state.carried_from[item] == np.datetime64(day(first_to_carry))
            assert carries == (number >= first_to_carry + SETTINGS.window_days,) * 2
        assert_each_counts_once(changed, state)
    assert np.isnat(np.delete(states[-1].carried_from, item)).all()


def test_the_loss_leaves_what_other_items_carry_as_it_is_to_the_bit(
    changed: Chain, changed_item: int
) -> None:
    """On that night. The item's other values tell other abilities, hence other estimates of all
    items; the days that are folded from then on are folded at these.
    """
    changed.run_all(range(CHANGES_ON))
    for number in range(CHANGES_ON, CHANGED_NIGHTS):
        parent = changed.accepted[day(number - 1)]
        state = changed.run(number)
        if state.is_contradicted.any():
            break
    again = changed.run(number, contradiction_z=1e9)
    assert not again.is_contradicted.any()
    assert state.parent == again.parent == (parent.partition, parent.attempt)
    others = np.arange(60) != changed_item
    for name in ("carried_information", "carried_linear", "carried_from", "total_counts"):
        ours, theirs = getattr(state, name)[others], getattr(again, name)[others]
        assert ours.tobytes() == theirs.tobytes()
    assert again.carried_information[changed_item].any()
    assert (state.parameters != again.parameters)[others & ~POOL.is_anchor].any()


def test_days_before_the_loss_stay_out_when_many_are_folded_at_once(
    changed: Chain, changed_item: int
) -> None:
    """The nights after the loss are skipped: for the item it is as if the days before it were not.

    Otherwise it would carry again what it has just lost.
    """
    changed.run_all(range(CHANGES_ON))
    lost_on = CHANGES_ON
    while not changed.run(lost_on).is_contradicted.any():
        lost_on += 1
        assert lost_on < CHANGED_NIGHTS, "nothing was dropped"
    first_to_carry = lost_on + 1
    without = replace(changed, days=changed.days[first_to_carry:], stored=dict(changed.stored))
    with_all, with_one = (
        chain.run(first_to_carry + SETTINGS.window_days) for chain in (changed, without)
    )
    assert (len(with_all.folded), len(with_one.folded)) == (SETTINGS.window_days + 1, 1)
    is_equal = with_all.carried_information == with_one.carried_information
    assert is_equal[changed_item].all()
    assert with_all.carried_information[changed_item].any()
    assert is_equal.all(axis=(1, 2)).sum() < 20
