"""Stale nights follow from digests alone, whatever order nights were run in."""

from dataclasses import replace
from datetime import date, timedelta

from calibration_pipeline.store.stale_nights import AcceptedState, StateKey, stale_nights

FIRST = date(2026, 11, 1)


def night(n: int) -> date:
    return FIRST + timedelta(days=n)


def key(n: int, attempt: int = 1) -> StateKey:
    return night(n), attempt


def stored(
    n: int, digest: str, *, parent: StateKey | None = None, attempt: int = 1
) -> AcceptedState:
    return AcceptedState(key(n, attempt), digest, parent)


def chain(length: int) -> list[AcceptedState]:
    """Nights that were run one after another."""
    return [stored(n, f"d{n}", parent=key(n - 1) if n else None) for n in range(length)]


def reasons(states: list[AcceptedState]) -> dict[date, str]:
    return {stale.night: stale.reason for stale in stale_nights(states)}


def test_nights_that_were_run_in_order_are_fresh() -> None:
    assert stale_nights([]) == ()
    assert stale_nights(chain(5)) == ()


def test_all_nights_after_one_that_was_run_again_with_another_result_are_stale() -> None:
    states = [*chain(5), stored(2, "other", parent=key(1), attempt=2)]
    assert reasons(states) == {
        night(3): "starts from 2026-11-03 as it was before it was run again",
        night(4): "follows 2026-11-04, which is stale",
    }


def test_a_re_run_with_the_same_result_leaves_the_later_nights_fresh() -> None:
    assert reasons([*chain(5), stored(2, "d2", parent=key(1), attempt=2)]) == {}


def test_a_result_that_comes_back_makes_the_later_nights_fresh_again() -> None:
    again = [stored(2, digest, parent=key(1), attempt=a) for a, digest in ((2, "other"), (3, "d2"))]
    assert reasons([*chain(5), *again]) == {}


def test_rebuilding_in_order_clears_and_rebuilding_the_last_one_alone_does_not() -> None:
    states = [*chain(5), stored(2, "other", parent=key(1), attempt=2)]
    last = stored(4, "x4", parent=key(3), attempt=2)
    assert list(reasons([*states, last])) == [night(3), night(4)]
    third = stored(3, "x3", parent=key(2, 2), attempt=2)
    assert reasons([*states, third]) == {
        night(4): "starts from 2026-11-04 as it was before it was run again"
    }
    assert reasons([*states, third, replace(last, parent=key(3, 2))]) == {}


def test_a_rebuild_that_gives_the_same_result_ends_the_staleness_there() -> None:
    states = [*chain(5), stored(2, "other", parent=key(1), attempt=2)]
    assert reasons([*states, stored(3, "d3", parent=key(2, 2), attempt=2)]) == {}


def test_a_night_that_was_put_in_later_makes_the_ones_after_it_stale() -> None:
    skipped = [stored(0, "d0"), stored(2, "d2", parent=key(0)), stored(3, "d3", parent=key(2))]
    assert reasons(skipped) == {}
    assert reasons([*skipped, stored(1, "d1", parent=key(0))]) == {
        night(2): "starts from 2026-11-01, and 2026-11-02 has been calibrated since",
        night(3): "follows 2026-11-03, which is stale",
    }


def test_a_night_before_the_first_one_makes_it_stale() -> None:
    states = [stored(1, "d1"), stored(2, "d2", parent=key(1)), stored(0, "d0")]
    assert reasons(states) == {
        night(1): "starts from nothing, and 2026-11-01 has been calibrated since",
        night(2): "follows 2026-11-02, which is stale",
    }


def linked(states: list[AcceptedState], scale: str = "main") -> list[AcceptedState]:
    """The same nights for a scale without anchors, which the first of them sets."""
    own = frozenset({scale})
    return [
        replace(state, fitted=own, linked=own if state.parent else frozenset()) for state in states
    ]


def test_a_scale_whose_first_night_changed_makes_nights_stale_whose_parents_did_not() -> None:
    changed_first = stored(0, "other", attempt=2)
    same_second = stored(1, "d1", parent=key(0, 2), attempt=2)
    states = linked([*chain(4), changed_first, same_second])
    assert reasons(states) == {
        night(2): "links scale main to its first night as it was before 2026-11-01 was run",
        night(3): "links scale main to its first night as it was before 2026-11-01 was run",
    }
    rebuilt = [stored(n, f"x{n}", parent=key(n - 1, 2), attempt=2) for n in (2, 3)]
    assert reasons(linked([*chain(4), changed_first, same_second, *rebuilt])) == {}
    with_anchors = [*chain(4), changed_first, same_second]
    assert reasons(with_anchors) == {}


def test_the_first_night_that_fitted_a_scale_counts_not_the_first_night() -> None:
    """An empty night before it sets no scale, and a change of it changes no link."""
    empty, *fitted = chain(4)
    states = [empty, replace(fitted[0], fitted=frozenset({"main"})), *linked(fitted[1:])]
    assert reasons(states) == {}
    again = [
        stored(0, "other", attempt=2),
        replace(stored(1, "d1", parent=key(0, 2), attempt=2), fitted=frozenset({"main"})),
    ]
    assert reasons([*states, *again]) == {}


def test_ten_thousand_nights_are_no_chain_too_long() -> None:
    states = linked(chain(10_000))
    states.append(stored(0, "other", attempt=2))
    assert len(stale_nights(states)) == 9_999
