"""What engines report is held against the control they drew with, by a z that is N(0, 1)."""

import math
from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.policy.exposure import reported_acceptance, unmatched_proposals
from calibration_pipeline.records import ItemProposals
from calibration_pipeline_tests.store.examples import scale_exposure

ITEMS, LEVELS, CANDIDATES, LOOKS = 300, 3, 400, 12
KEYS = [(f"i{j:03d}", 1) for j in range(ITEMS)]


def test_reports_are_compared_with_the_probability_of_their_control_and_level():
    control = scale_exposure([("i0", 1), ("i1", 1)], cuts=(0.0,), attempt=1)
    control.probability[:] = [[0.5, 1.0], [0.1, 1.0]]
    reports = [
        ItemProposals(3, 1, ("i0", 1), 0, 100, 80),
        ItemProposals(3, 1, ("i0", 1), 1, 100, 10),
        ItemProposals(3, 1, ("i1", 1), 1, 50, 49),
        ItemProposals(3, 1, ("i1", 1), 2, 50, 1),
        ItemProposals(4, 1, ("i1", 1), 0, 50, 1),
    ]
    first, second = reported_acceptance(reports, {3: [control]})
    assert (first.key, first.proposed, first.given, first.expected) == (("i0", 1), 200, 90, 60.0)
    assert first.z == pytest.approx(30.0 / math.sqrt(25.0 + 9.0))
    assert first.credible_z == pytest.approx(30.0 / math.sqrt(25.0 + 9.0 + 10.0))
    assert (second.proposed, second.z, second.credible_z) == (50, -math.inf, -math.inf)
    assert unmatched_proposals(reports, {3: [control]}) == 100


def test_a_report_is_held_against_the_control_it_was_drawn_with():
    """A newer control of the version doesn't make honest reports look wrong."""
    old = scale_exposure(KEYS[:1], cuts=(), attempt=1)
    new = replace(old, attempt=2, probability=np.array([[0.1]]))
    old.probability[:] = 0.8
    reports = [
        ItemProposals(3, 1, KEYS[0], 0, 1000, 800),
        ItemProposals(3, 2, KEYS[0], 0, 1000, 100),
    ]
    (found,) = reported_acceptance(reports, {3: [new, old]})
    assert found.expected == pytest.approx(900.0)
    assert found.z == pytest.approx(0.0)


def drawn(probability: np.ndarray, seed: int, *, once: bool) -> list[ItemProposals]:
    """Reports of an engine that draws once per candidate and item, while its estimates move.

    Which items come up depends on what was open before, as in a test: those behind a shut one do.
    With ``once`` an item counts the first time it comes up for a candidate; otherwise every time.
    """
    generator = np.random.default_rng(seed)
    proposed, given = (np.zeros((LEVELS, ITEMS), int) for _ in range(2))
    for _ in range(CANDIDATES):
        numbers, counted, left = generator.random(ITEMS), set(), np.ones(ITEMS, bool)
        for _ in range(LOOKS):
            level = generator.integers(LEVELS)
            first = level * 40 + generator.integers(40)
            for j in range(first, ITEMS):
                if not left[j]:
                    continue
                is_open = numbers[j] < probability[level, j]
                if not (once and j in counted):
                    counted.add(j)
                    proposed[level, j] += 1
                    given[level, j] += is_open
                if is_open:
                    left[j] = False
                    break
    return [
        ItemProposals(3, 1, KEYS[j], level, int(proposed[level, j]), int(given[level, j]))
        for level, j in np.argwhere(proposed)
    ]


def z_of(*, once: bool) -> np.ndarray:
    control = scale_exposure(KEYS, attempt=1)
    control.probability[:] = np.random.default_rng(5).uniform(0.1, 0.9, (LEVELS, ITEMS))
    found = [
        report
        for seed in range(8)
        for report in reported_acceptance(
            drawn(control.probability, seed, once=once), {3: [control]}
        )
    ]
    return np.array([report.z for report in found if report.sd >= 3.0])


def test_z_is_standard_normal_while_estimates_move_between_levels():
    z = z_of(once=True)
    assert len(z) > 600
    assert abs(z.mean()) < 3.5 / math.sqrt(len(z))
    assert abs((z**2).mean() - 1.0) < 3.5 * math.sqrt(2.0 / len(z))


def test_counting_an_item_each_time_it_comes_up_would_look_wrong():
    """Why the report counts the first time alone: what was shut stays so, or opens seldom."""
    z = z_of(once=False)
    assert z.mean() < -5.0 / math.sqrt(len(z))


def test_small_counts_raise_no_alarm_by_chance():
    """Poisson-like counts stand far out in z alone: 2 of 20 where 1 in 1,000 is meant."""
    control = scale_exposure(KEYS, cuts=(), attempt=1)
    control.probability[:] = 0.03
    given = np.random.default_rng(4).binomial(12, 0.03, ITEMS * 40)
    stand_out = {"z": 0, "credible_z": 0}
    for row in given.reshape(40, ITEMS):
        reports = [
            ItemProposals(3, 1, key, 0, 12, int(n)) for key, n in zip(KEYS, row, strict=True)
        ]
        for found in reported_acceptance(reports, {3: [control]}):
            for name in stand_out:
                stand_out[name] += abs(getattr(found, name)) >= 4.0
    assert stand_out["z"] > 20
    assert stand_out["credible_z"] <= 2
