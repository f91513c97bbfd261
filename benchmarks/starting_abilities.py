"""Sessions that start from an ability learnt in earlier sessions, which item selection depends on.

A first session of every candidate is simulated and thrown away but for the engine's estimate after
its last answer; the second starts there and is what is fitted. The first session's answers are
outside the fit, so selection isn't ignorable unless the population is a regression on the start.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import (
    POOL_ANCHORS,
    POOL_ITEMS,
    Case,
    anchored_problem,
    choose_anchors,
    draw_pool,
)
from calibration_pipeline.irt.model import FloatArray
from calibration_pipeline.irt.population import Population, PopulationCells
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.irt.simulation import SelectionRule, simulate_sessions

SESSIONS, ANSWERS = 20_000, 30
MINIMUM_COMPARED_ANSWERS = 25
"""Published from here on; items with many more are those near the middle, where nothing shows."""
BIN_WIDTH = 0.1


def build(name: str) -> Case:
    """Simulate ``starts-HOW-SHARE-SEED``.

    HOW is ``regression`` or ``ignored`` and says whether the fit is told where sessions started;
    SHARE is the part of the pool that a session may see.
    """
    _, how, share, seed = name.split("-")
    rng = np.random.default_rng(int(seed))
    truth = draw_pool(POOL_ITEMS, rng)
    abilities = rng.normal(0, 1, SESSIONS)
    rule = SelectionRule(answers=ANSWERS, pool_share=float(share))
    starts = simulate_sessions(abilities, truth, truth, rule, rng).final_estimate
    rule = replace(rule, start_sd=float(np.std(starts - abilities)))
    second = simulate_sessions(abilities, truth, truth, rule, rng, starts=starts)
    data = ResponseData(
        session_offsets=np.arange(SESSIONS + 1) * ANSWERS,
        item=second.item.ravel(),
        correct=second.correct.ravel(),
        n_items=POOL_ITEMS,
    )
    population = Population(mean_is_estimated=True, sd_is_estimated=True)
    if how == "regression":
        data = replace(data, cells=binned(starts))
        population = Population(mean_is_estimated=True, sd_is_estimated=True, has_covariate=True)
    is_anchor = choose_anchors(POOL_ITEMS, POOL_ANCHORS, rng)
    problem, prior = anchored_problem(truth, is_anchor)
    compared = ~is_anchor & (data.item_counts >= MINIMUM_COMPARED_ANSWERS)
    return Case(name, data, truth, problem, population, prior, compared)


def binned(starts: FloatArray) -> PopulationCells:
    """One cell per bin of the starting ability, at the bin's centre."""
    number: NDArray[np.int64] = np.round(starts / BIN_WIDTH).astype(np.int64)
    bins, cell = np.unique(number, return_inverse=True)
    return PopulationCells(
        cell=cell.astype(np.int32),
        group=np.zeros(len(bins), np.int64),
        covariate=np.asarray(bins * BIN_WIDTH, float),
    )
