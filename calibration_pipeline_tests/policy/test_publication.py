from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.publication import compose_snapshot, eligible_items
from calibration_pipeline.records import ItemKey, ScaleLink, SnapshotItem
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import NO_ANCHORS, draw_items, make_anchors, make_bank

SETTINGS = CalibrationConfiguration()
IMPORTED = np.array([[0.9, -0.5, 0.2], [np.nan] * 3, [1.1, 0.4, 0.25], [np.nan] * 3])
BANK = make_bank(4, parameters=IMPORTED)
TRUTH = draw_items(4, np.random.default_rng(0))
STATE = make_state(BANK, TRUTH, is_anchor=[True, False, False, False])


def link(slope: float = 1.0, intercept: float = 0.0) -> ScaleLink:
    return ScaleLink("main", "stocking-lord", slope, intercept, 9, {}, is_within_bounds=True)


def compose(state=STATE, links=None, previous=None, anchors=NO_ANCHORS):
    return compose_snapshot(state, links or [link()], BANK, anchors, previous or {}, SETTINGS)


def by_key(items: tuple[SnapshotItem, ...]) -> dict[ItemKey, SnapshotItem]:
    return {item.key: item for item in items}


def values(item: SnapshotItem) -> tuple[float, float, float]:
    return item.discrimination, item.difficulty, item.guessing


def with_counts(window: int, total: int | None = None, state=STATE):
    n = state.parameters.shape[0]
    total = window if total is None else total
    return replace(state, window_counts=np.full(n, window), total_counts=np.full(n, total))


def test_every_item_of_the_pool_is_published_in_its_order():
    assert tuple(item.key for item in compose()) == BANK.keys
    assert {item.scale for item in compose()} == {"main"}


def test_anchors_stand_at_their_reference_to_the_bit_whatever_the_link():
    anchor = compose(links=[link(1.1, 0.2)])[0]
    assert values(anchor) == tuple(TRUTH[0])
    assert (anchor.source, anchor.track) == ("anchor", "trusted")
    assert not any(anchor.covariance)
    assert anchor.difficulty_se == 0.0


def test_other_items_are_moved_by_the_nights_link():
    item = compose(links=[link(1.1, 0.2)])[1]
    a, b, c = TRUTH[1]
    assert values(item) == pytest.approx((a / 1.1, 1.1 * b + 0.2, c))
    assert item.difficulty_se == pytest.approx(0.11)
    assert item.discrimination_se == pytest.approx(0.1 * a / 1.1)
    assert item.covariance[4] == pytest.approx(0.11**2)


def test_the_errors_of_the_constants_join_those_of_the_items():
    known = link(1.1, 0.2)
    uncertain = replace(known, slope_se=0.02, intercept_se=0.03, slope_intercept_covariance=-0.0002)
    before, after = compose(links=[known])[1], compose(links=[uncertain])[1]
    b = TRUTH[1, 1]
    added = (0.02 * b) ** 2 + 0.03**2 - 2 * 0.0002 * b
    assert after.difficulty_se == pytest.approx(np.sqrt(before.difficulty_se**2 + added))
    relative = after.discrimination_se / after.discrimination
    assert relative == pytest.approx(np.hypot(0.1, 0.02 / 1.1))
    assert after.guessing_se == before.guessing_se
    assert values(after) == values(before)
    anchor = compose(links=[uncertain])[0]
    assert anchor.difficulty_se == 0.0


def test_the_errors_of_the_references_come_in_once():
    """With the link, whose constants have them, or, where there was none, as the fit's own."""
    error = np.diag([0.0, 0.1**2, 0.25])
    anchors = replace(make_anchors(BANK, [0], TRUTH), covariance=error[None])
    linked, before = compose(anchors=anchors), compose()
    assert linked[0].difficulty_se == pytest.approx(0.1)
    assert linked[0].covariance == pytest.approx(tuple(error.ravel()))
    assert linked[1].difficulty_se == before[1].difficulty_se
    unlinked = compose(links=[replace(link(), method="none")], anchors=anchors)
    added = np.array([unlinked[j].covariance[4] - before[j].covariance[4] for j in (1, 2, 3)])
    # One anchor holds the shift and, as far as it tells, the stretch: it is off itself by .1.
    assert (added > 0).all()
    others = TRUTH[1:, 1] * TRUTH[0, 1] / (0.01 + TRUTH[0, 1] ** 2)
    assert added.max() < 0.1**2 * (1 + np.abs(others).max()) ** 2


def test_eligibility_starts_at_25_answers():
    assert eligible_items(with_counts(25), SETTINGS).tolist() == [False, True, True, True]
    assert not eligible_items(with_counts(24), SETTINGS).any()
    assert {item.source for item in compose(with_counts(25))[1:]} == {"fitted"}
    assert {item.source for item in compose(with_counts(24))[1:]} == {"author"}


def test_below_eligibility_the_published_values_stand():
    previous = by_key(compose(with_counts(200)))
    tonight = replace(with_counts(10, 210), parameters=TRUTH + 0.1, is_anchor=STATE.is_anchor)
    stands = compose(tonight, [link(1.1, 0.1)], previous)[2]
    assert values(stands) == values(previous[BANK.keys[2]])
    assert stands.covariance == previous[BANK.keys[2]].covariance
    assert (stands.source, stands.window_count, stands.total_count) == ("carried", 10, 210)
    still = compose(tonight, [link(1.1, 0.1)], {stands.key: stands})[2]
    assert values(still) == values(stands)


def test_an_item_without_any_published_value_shows_its_authors():
    item = compose(with_counts(3))[2]
    assert values(item) == tuple(IMPORTED[2])
    assert item.difficulty_se == pytest.approx(1 / np.sqrt(0.5))
    assert item.track == "provisional"


def test_where_the_author_said_nothing_the_priors_mode_stands_in():
    item = compose(with_counts(3))[1]
    assert values(item) == pytest.approx((1.0, 0.0, 1 / (1 + np.exp(1.6))))


def test_an_authors_value_gives_way_to_a_fit_and_never_stands_again():
    previous = by_key(compose(with_counts(3)))
    fitted = by_key(compose(with_counts(30), previous=previous))
    assert fitted[BANK.keys[2]].source == "fitted"
    later = compose(with_counts(3), previous=fitted)
    assert later[2].source == "carried"


def test_a_released_anchor_keeps_its_reference_until_it_has_answers():
    previous = by_key(compose())
    released = replace(STATE, is_anchor=np.zeros(4, bool), is_updated=np.ones(4, bool))
    few = compose(with_counts(10, 510, released), [link(1.1, 0.2)], previous)[0]
    assert values(few) == tuple(TRUTH[0])
    assert (few.source, few.track) == ("carried", "trusted")
    assert compose(with_counts(25, 510, released), previous=previous)[0].source == "fitted"


@pytest.mark.parametrize(("total", "track"), [(299, "provisional"), (300, "trusted")])
def test_trust_starts_at_300_answers_in_all(total, track):
    assert compose(with_counts(50, total))[1].track == track


def test_trust_is_reached_while_values_stand():
    previous = by_key(compose(with_counts(50, 299)))
    assert compose(with_counts(10, 300), previous=previous)[1].track == "trusted"


def test_trust_is_never_lost():
    previous = by_key(compose(with_counts(50, 300)))
    assert {item.track for item in compose(with_counts(30, 30), previous=previous)} == {"trusted"}
    assert {item.track for item in compose(with_counts(3, 3), previous=previous)} == {"trusted"}


def test_an_authors_value_is_never_trusted():
    assert compose(with_counts(10, 5000))[1].track == "provisional"


@pytest.mark.parametrize(
    ("row", "published", "mark"),
    [
        ([0.2, 0.0, 0.2], (0.2, 0.0, 0.2), "discrimination low"),
        ([3.2, 0.0, 0.2], (3.0, 0.0, 0.2), "discrimination high"),
        ([1.0, -6.5, 0.2], (1.0, -6.0, 0.2), "difficulty low"),
        ([1.0, 6.0, 0.35], (1.0, 6.0, 0.35), "difficulty high, guessing high"),
        ([1.0, 0.0, 0.0], (1.0, 0.0, 0.0), ""),
        ([1.0, 0.0, 0.2], (1.0, 0.0, 0.2), ""),
    ],
)
def test_an_estimate_at_a_bound_is_held_there_and_marked(row, published, mark):
    parameters = TRUTH.copy()
    parameters[1] = row
    item = compose(replace(STATE, parameters=parameters))[1]
    assert values(item) == published
    assert item.at_bound == mark
