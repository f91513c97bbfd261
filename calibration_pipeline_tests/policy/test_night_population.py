"""Nights of candidates who come back: known to the engine, meeting items again."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np
import pytest

from calibration_pipeline.irt.simulation import SelectionRule, simulate_sessions
from calibration_pipeline.policy.carrying import carry_over
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.night import calibrate_night
from calibration_pipeline.records import AnchorSet, CalibrationState, DayResponses
from calibration_pipeline_tests.policy.days import Session, make_day
from calibration_pipeline_tests.simulated import (
    FIRST_DAY,
    NO_ANCHORS,
    make_pool,
    night_inputs,
)

SETTINGS = replace(CalibrationConfiguration(), window_days=6, minimum_group_sessions=100)
POOL = make_pool(60, 15, np.random.default_rng(0))
ANSWERS, SESSIONS_A_DAY = 12, 120
NEW_MEAN = -0.3
MEMORABLE = np.flatnonzero(~POOL.is_anchor)[:6].tolist()


@dataclass
class Candidates:
    """Who exists: abilities, the engine's last estimates, and the items that each has met."""

    abilities: list[float] = field(default_factory=list)
    estimates: list[float] = field(default_factory=list)
    seen: list[set[int]] = field(default_factory=list)

    def arrive(self, n: int, generator: np.random.Generator) -> np.ndarray:
        """New candidates; gives their numbers."""
        first = len(self.abilities)
        self.abilities.extend(generator.normal(NEW_MEAN, 1.0, n))
        self.estimates.extend([np.nan] * n)
        self.seen.extend(set() for _ in range(n))
        return np.arange(first, first + n)


def take_a_day(
    people: Candidates, number: int, generator: np.random.Generator, memory: bool
) -> DayResponses:
    """Half of the sessions are of new candidates; on later days the others come back.

    New ones start from 0, the others from the engine's last estimate. With `memory`, whoever meets
    a memorable item again knows the answer.
    """
    n_old = 0 if number == 0 else SESSIONS_A_DAY // 2
    old = generator.permutation(len(people.abilities))[:n_old]
    who = np.concatenate([people.arrive(SESSIONS_A_DAY - n_old, generator), old])
    starts = np.array(people.estimates)[who]
    rule = SelectionRule(answers=ANSWERS, pool_share=0.5)
    taken = simulate_sessions(
        np.array(people.abilities)[who], POOL.truth, POOL.truth, rule, generator, starts=starts
    )
    sessions = []
    for row, person in enumerate(who.tolist()):
        items, scores = taken.item[row].tolist(), taken.correct[row].copy()
        if memory:
            scores[[item in people.seen[person].intersection(MEMORABLE) for item in items]] = 1
        people.seen[person].update(items)
        people.estimates[person] = float(taken.final_estimate[row])
        start = 0.0 if np.isnan(starts[row]) else float(starts[row])
        sessions.append(Session(items, scores.tolist(), f"p{person}", start))
    return make_day(sessions, FIRST_DAY + timedelta(days=number))


def simulate(*, memory: bool) -> list[DayResponses]:
    generator, people = np.random.default_rng(1), Candidates()
    return [take_a_day(people, number, generator, memory) for number in range(8)]


DAYS = simulate(memory=False)
REMEMBERED = simulate(memory=True)


def night(
    number: int,
    parent: CalibrationState | None = None,
    *,
    days: list[DayResponses] = DAYS,
    anchors: AnchorSet = POOL.anchors,
    settings: CalibrationConfiguration = SETTINGS,
    baselines: dict[str, CalibrationState] | None = None,
) -> CalibrationState:
    inputs = night_inputs(
        FIRST_DAY + timedelta(days=number), days, POOL.bank, anchors, settings,
        parent=parent, baselines=baselines,
    )  # fmt: skip
    return calibrate_night(inputs, settings)


@pytest.fixture(scope="module")
def first() -> CalibrationState:
    return night(5)


def met_before(days: list[DayResponses]) -> int:
    """Answers to an item that their candidate has answered before, counted one by one."""
    seen: set[tuple[bytes, int]] = set()
    repeats = 0
    for day in days:
        people = np.repeat(day.candidate_pseudonyms, np.diff(day.session_offsets))
        for pair in zip((bytes(p) for p in people), day.item.tolist(), strict=True):
            repeats += pair in seen
            seen.add(pair)
    return repeats


def test_what_a_candidate_has_met_before_counts_for_no_item(first):
    answers = sum(len(day.item) for day in DAYS[:6])
    repeats = met_before(DAYS[:6])
    assert repeats > 400
    assert first.scales[0].screening.repeated_exposures == repeats
    assert first.window_counts.sum() == answers - repeats
    assert first.scales[0].response_count == answers


def test_remembered_answers_do_not_make_items_easier(first):
    """Who has met an item before knows it, so that it would seem easier than it is."""
    together = replace(SETTINGS, separate_repeated_exposures=False)
    separate = night(5, days=REMEMBERED).parameters - first.parameters
    mixed = night(5, days=REMEMBERED, settings=together).parameters - first.parameters
    assert mixed[MEMORABLE, 1].mean() < -0.2
    assert np.abs(separate[:, 1]).max() < 0.1  # abilities are a little higher: harder, if anything
    assert separate[MEMORABLE, 1].min() > -0.02


def test_a_state_says_who_took_the_sessions(first):
    (scale,) = first.scales
    groups = {group.name: group for group in scale.groups}
    assert list(groups) == ["new", "known start"]
    assert scale.common_start == 0.0
    assert groups["new"].session_count == 120 + 5 * 60
    assert groups["known start"].session_count == 5 * 60
    assert groups["new"].mean == pytest.approx(NEW_MEAN, abs=0.2)
    assert groups["new"].slope == 0.0
    assert groups["known start"].slope == pytest.approx(1.0, abs=0.2)
    assert groups["known start"].sd < 0.75 * groups["new"].sd
    assert scale.population_mean == pytest.approx(NEW_MEAN, abs=0.2)
    assert scale.population_sd == pytest.approx(1.0, abs=0.2)


def test_groups_and_starts_can_be_left_unused():
    unused = replace(SETTINGS, use_population_groups=False, use_starting_ability=False)
    (scale,) = night(5, settings=unused).scales
    assert [group.name for group in scale.groups] == ["all"]
    assert scale.groups[0].slope == 0.0


def test_a_day_is_folded_with_the_groups_of_the_last_night(first):
    second = night(6, first)
    known = carry_over(first, {}, POOL.bank, POOL.anchors).populations["main"]
    assert known.group_names == ("new", "known start")
    blind = replace(first, scales=(replace(first.scales[0], groups=()),))
    without = night(6, blind)
    assert second.folded_through == without.folded_through == FIRST_DAY
    assert second.total_counts.sum() == without.total_counts.sum()
    gap = np.abs(second.carried_linear - without.carried_linear).max()
    assert gap > 0.002 * np.abs(second.carried_linear).max()


def test_a_first_night_without_anchors_copes_with_repeats_and_groups():
    """Copies would hold the scale at the start values: they are left out on that night alone."""
    state = night(5, anchors=NO_ANCHORS)
    (scale,) = state.scales
    assert state.is_accepted, state.reasons
    assert (scale.population_mean, scale.population_sd) == pytest.approx((0.0, 1.0), abs=1e-6)
    assert [group.name for group in scale.groups] == ["new", "known start"]
    assert np.isfinite(state.covariance).all()
    assert np.corrcoef(state.parameters[:, 1], POOL.truth[:, 1])[0, 1] > 0.88
    answers, repeats = sum(len(day.item) for day in DAYS[:6]), met_before(DAYS[:6])
    assert state.window_counts.sum() == scale.response_count == answers - repeats
    later = night(6, state, anchors=NO_ANCHORS, baselines={"main": state})
    assert later.is_accepted, later.reasons
    shift = (later.parameters - state.parameters)[:, 1].mean()
    assert shift == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("anchors", [POOL.anchors, NO_ANCHORS], ids=["anchors", "none"])
def test_two_nights_in_a_row_are_the_same_to_the_byte(anchors):
    def two_nights() -> tuple[CalibrationState, CalibrationState]:
        one = night(5, anchors=anchors)
        return one, night(6, one, anchors=anchors, baselines={"main": one})

    for ours, theirs in zip(two_nights(), two_nights(), strict=True):
        assert ours.digest == theirs.digest
        for name in ("parameters", "covariance", "carried_linear", "shadow_parameters", "infit"):
            assert getattr(ours, name).tobytes() == getattr(theirs, name).tobytes()
        assert ours.scales == theirs.scales
