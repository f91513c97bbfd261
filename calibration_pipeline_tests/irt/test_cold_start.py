"""How many answers a new item needs, held against simulated items that get them."""

import numpy as np
import pytest

from calibration_pipeline.irt.cold_start import (
    PATH_ANSWERS,
    ShownTo,
    averaged_probabilities,
    plan_showing,
)
from calibration_pipeline.irt.model import from_internal
from calibration_pipeline.irt.population import normal_log_weights
from calibration_pipeline.records import FloatArray

TO = ShownTo(
    mean=0.0, sd=1.0, reach_sds=2.0, ability_se=0.3, difficulty_se=0.3, maximum_answers=2000
)
GUESSING = np.array([True])
LONGEST, STEP, REPLICATES, DRAWS = 500, 5, 80, 1500
TOLERANCE = 0.25
"""Of the predicted median number of answers."""

BELIEFS = {
    "like the candidates": ([0.2, 0.0, -1.4], [0.3, 0.5, 0.4]),
    "hard": ([0.2, 1.2, -1.4], [0.3, 0.7, 0.4]),
    "easy and vague": ([0.0, -1.0, -1.6], [0.3, 0.8, 0.4]),
}


def simulated(
    centre: FloatArray, sds: FloatArray, shares: FloatArray, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Show items that are drawn from the belief, until SE(b) is reached; the exact posterior.

    Gives the answers that each needed, and the log determinant of its posterior covariance after
    100 answers. The posterior is by importance sampling from the belief.
    """
    generator = np.random.default_rng(seed)
    draws = centre + generator.normal(size=(DRAWS, 3)) * sds
    p, _ = averaged_probabilities(draws, np.ones(DRAWS, bool), TO)
    log_right, log_wrong = np.log(p), np.log1p(-p)
    needed, volume = np.full(REPLICATES, np.inf), np.empty(REPLICATES)
    for r in range(REPLICATES):
        truth = from_internal(centre + generator.normal(size=(1, 3)) * sds, GUESSING)[0]
        at = generator.choice(len(shares), LONGEST, p=shares)
        theta = TO.abilities[at] + TO.ability_se * generator.normal(size=LONGEST)
        a, b, c = truth
        right = generator.random(LONGEST) < c + (1 - c) / (1 + np.exp(-a * (theta - b)))
        log_weight = np.zeros(DRAWS)
        for n in range(STEP, LONGEST + 1, STEP):
            answers = slice(n - STEP, n)
            log_weight += np.where(right[answers], log_right[:, at[answers]],
                                   log_wrong[:, at[answers]]).sum(axis=1)  # fmt: skip
            weight = np.exp(log_weight - log_weight.max())
            covariance = np.cov(draws.T, aweights=weight, ddof=0)
            if n == 100:
                volume[r] = np.linalg.slogdet(covariance)[1]
            if needed[r] == np.inf and covariance[1, 1] <= TO.difficulty_se**2:
                needed[r] = n
            if needed[r] < np.inf and n >= 100:
                break
    return needed, volume


def shares_on_grid(abilities: FloatArray, shares: FloatArray) -> FloatArray:
    """The advice, taken at the nearest abilities of the grid."""
    nearest = np.abs(TO.abilities[:, None] - abilities).argmin(axis=0)
    return np.bincount(nearest, shares, len(TO.abilities))


@pytest.mark.parametrize("name", BELIEFS)
def test_the_number_of_answers_is_that_of_simulated_items(name: str) -> None:
    centre, sds = map(np.array, BELIEFS[name])
    (plan,) = plan_showing(centre[None], np.diag(sds**2)[None], GUESSING, TO)
    aimed = shares_on_grid(plan.abilities, plan.shares)
    as_they_come = np.exp(normal_log_weights(TO.abilities, TO.mean, TO.sd))
    needed, volume = simulated(centre, sds, aimed, seed=1)
    unaimed, volume_unaimed = simulated(centre, sds, as_they_come, seed=2)
    assert np.median(needed) == pytest.approx(plan.answers, rel=TOLERANCE)
    assert np.median(unaimed) == pytest.approx(plan.answers_unaimed, rel=TOLERANCE)
    # What D-optimality promises: more is known of the item as a whole.
    assert volume.mean() < volume_unaimed.mean()
    assert plan.answers <= plan.answers_cautious


def test_an_item_off_the_candidates_is_aimed_at_those_near_it() -> None:
    centre, sds = map(np.array, BELIEFS["hard"])
    (plan,) = plan_showing(centre[None], np.diag(sds**2)[None], GUESSING, TO)
    assert plan.answers < 0.7 * plan.answers_unaimed
    assert plan.shares.sum() == pytest.approx(1.0)
    assert plan.abilities @ plan.shares > 0.5
    assert np.abs(plan.abilities).max() <= 2.0
    path = dict(zip(PATH_ANSWERS, plan.path_se, strict=True))
    assert (np.diff(plan.path_se) < 0).all()
    assert path[50] > TO.difficulty_se > path[200]


def test_what_cannot_be_reached_is_said() -> None:
    nearly_flat = np.array([[-3.0, 0.0, -1.4]])
    (plan,) = plan_showing(nearly_flat, np.diag([0.01, 1.0, 0.01])[None], GUESSING, TO)
    assert plan.answers == np.inf


@pytest.mark.parametrize("coordinates", [(0, 1), (1,)], ids=["2PL", "Rasch"])
def test_coordinates_that_a_model_lacks_are_left_alone(coordinates: tuple[int, ...]) -> None:
    covariance = np.zeros((1, 3, 3))
    for k in coordinates:
        covariance[0, k, k] = 0.5
    (plan,) = plan_showing(np.zeros((1, 3)), covariance, ~GUESSING, TO)
    assert 20 < plan.answers < 150
    # A Rasch item teaches most where half of the candidates are right.
    if coordinates == (1,):
        assert abs(plan.abilities @ plan.shares) < 0.2


def test_items_do_not_depend_on_their_neighbours() -> None:
    centres = np.array([BELIEFS[name][0] for name in BELIEFS])
    covariances = np.stack([np.diag(np.square(BELIEFS[name][1])) for name in BELIEFS])
    together = plan_showing(centres, covariances, np.ones(3, bool), TO)
    alone = plan_showing(centres[1:2], covariances[1:2], GUESSING, TO)[0]
    assert together[1].answers == alone.answers
    np.testing.assert_allclose(together[1].path_se, alone.path_se)
