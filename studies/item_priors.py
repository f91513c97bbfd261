"""How good the priors of new items are: held-out items, an oracle, and answers that they save.

    python studies/item_priors.py

A pool of 2,400 items in 24 families: 1,400 are calibrated by a night of the pipeline on simulated
adaptive answers, 1,000 are held out as new. Their priors are learned from the night's state, and
compared with the truth and with priors made by who knows the hierarchy. Then an engine gives the
new items, by what each prior says of them, and answers are counted until b has a standard error of
0.3. What came out is in docs/new-items.md.
"""

import sys
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import click
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a file, Python looks in this folder alone
    sys.path.insert(0, str(ROOT))

from calibration_pipeline.bayes.item_priors import fit_hierarchy  # noqa: E402
from calibration_pipeline.irt.expectation import marginal_derivatives  # noqa: E402
from calibration_pipeline.irt.item_hierarchy import PredictedItems, predict_items  # noqa: E402
from calibration_pipeline.irt.model import FloatArray, from_internal  # noqa: E402
from calibration_pipeline.irt.population import Population  # noqa: E402
from calibration_pipeline.irt.prior_calibration import judge_calibration  # noqa: E402
from calibration_pipeline.policy.configuration import CalibrationConfiguration  # noqa: E402
from calibration_pipeline.policy.item_priors import Teachers, find_teachers  # noqa: E402
from calibration_pipeline.policy.night import calibrate_night  # noqa: E402
from calibration_pipeline.records import CalibrationState, ItemBank  # noqa: E402
from calibration_pipeline_tests.item_families import (  # noqa: E402
    FamilyPool,
    coverage,
    draw_family_pool,
    oracle_rmse,
    rmse,
)
from calibration_pipeline_tests.simulated import (  # noqa: E402
    FIRST_DAY,
    adaptive_data,
    day_from_data,
    make_anchors,
    make_bank,
    night_inputs,
)

ITEMS, FAMILIES, HELD_OUT, ANCHOR_SHARE = 2400, 24, 1000, 0.12
WANTED_SE = 0.3
CONFIGURATION = CalibrationConfiguration()


@dataclass(frozen=True)
class World:
    """A pool, its calibrated part after a night, and the items that are new."""

    pool: FamilyPool
    is_new: np.ndarray
    state: CalibrationState
    teachers: Teachers
    bank: ItemBank


def calibrate(seed: int, sessions_per_day: int) -> World:
    """Simulate thirty days on the calibrated items, and calibrate the last night."""
    generator = np.random.default_rng(seed)
    pool = draw_family_pool(ITEMS, FAMILIES, generator)
    is_new = np.zeros(ITEMS, bool)
    is_new[generator.choice(ITEMS, HELD_OUT, replace=False)] = True
    old, n = pool.features.of_items(~is_new), ITEMS - HELD_OUT
    truth = from_internal(pool.phi[~is_new], np.ones(n, bool))
    bank = replace(
        make_bank(n, author_difficulty=old.author_difficulty),
        content_families=tuple(f"family {number}" for number in old.family),
        option_counts=old.option_counts,
    )
    at = generator.choice(n, round(ANCHOR_SHARE * n), replace=False)
    anchors = make_anchors(bank, at, truth)
    believed = np.column_stack([np.full(n, 1.2), old.author_difficulty, 1.0 / old.option_counts])
    believed[at] = truth[at]
    days = [
        day_from_data(
            FIRST_DAY + timedelta(days=day),
            bank,
            adaptive_data(
                truth, generator.normal(size=sessions_per_day), generator, believed=believed
            ),
        )
        for day in range(CONFIGURATION.window_days)
    ]
    night = days[-1].revision.day
    state = calibrate_night(night_inputs(night, days, bank, anchors, CONFIGURATION), CONFIGURATION)
    teachers = find_teachers(state, bank, anchors, 0, CONFIGURATION.item_priors)
    return World(pool, is_new, state, teachers, bank)


def learned_priors(world: World, seed: int) -> tuple[PredictedItems, dict[str, object]]:
    """Priors of the new items as the hierarchy has them, and the fit's diagnostics."""
    teachers, pool = world.teachers, world.pool
    teaching = teachers.features.of_items(teachers.teaches)
    started = time.perf_counter()
    fit = fit_hierarchy(teachers.summaries, teaching, len(teachers.families), seed=seed)
    seconds = time.perf_counter() - started
    number = {name: place for place, name in enumerate(teachers.families)}
    new = pool.features.of_items(world.is_new)
    family = np.array([number.get(f"family {f}", -1) for f in new.family])
    found = judge_calibration(teachers.summaries, predict_items(fit.draws, teaching, fit.own))
    diagnostics = {
        "teachers": int(teachers.teaches.sum()),
        "pareto_k": fit.pareto_k,
        "effective_draws": fit.effective_size,
        "seconds": seconds,
        "covered_teachers": found.covered.round(3).tolist(),
        "author": fit.draws.author.mean(axis=0).round(3).tolist(),
    }
    return predict_items(fit.draws, replace(new, family=family)), diagnostics


def pooled_priors(world: World) -> PredictedItems:
    """Priors as nights make them without the hierarchy: one regression on what authors state."""
    new = world.pool.features.author_difficulty[world.is_new]
    stated, state = world.bank.author_difficulty, world.state
    free = ~state.is_anchor
    slope, intercept = np.polyfit(stated[free], state.prior_mean[free, 1], 1)
    mean = np.tile(np.median(state.prior_mean[free], axis=0), (len(new), 1))
    mean[:, 1] = intercept + slope * new
    variance = np.median(1.0 / state.prior_precision[free], axis=0)
    return PredictedItems(mean, np.tile(np.diag(variance), (len(new), 1, 1)))


def answers_needed(world: World, priors: PredictedItems, seed: int) -> FloatArray:
    """Answers until b has the wanted standard error, by new item, ``(n_new,)``.

    An engine that believes the priors' means gives the items; what an answer of theirs is worth
    is their information over their answers, abilities integrated out.
    """
    generator = np.random.default_rng([seed, 1])
    everything = np.ones(ITEMS, bool)
    truth = from_internal(world.pool.phi, everything)
    believed = truth.copy()
    believed[world.is_new] = from_internal(priors.mean, everything[: len(priors.mean)])
    data = adaptive_data(truth, generator.normal(size=15_000), generator, believed=believed)
    population = Population(mean=0.0, sd=1.0)
    found = marginal_derivatives(data, truth, population, CONFIGURATION.em)
    counts = data.item_counts[world.is_new]
    given = counts >= 20
    worth = found.information[world.is_new][given] / counts[given, None, None]
    prior = np.linalg.inv(priors.covariance[given])
    needed = np.full(len(counts), np.nan)
    low, high = np.zeros(len(worth)), np.full(len(worth), 4096.0)
    for _ in range(24):
        middle = 0.5 * (low + high)
        variance = np.linalg.inv(prior + middle[:, None, None] * worth)[:, 1, 1]
        is_enough = variance <= WANTED_SE**2
        low, high = np.where(is_enough, low, middle), np.where(is_enough, middle, high)
    needed[given] = np.ceil(high)
    return needed


def ratio_errors(world: World, priors: PredictedItems) -> FloatArray:
    """Standard errors of the RMSEs' ratios over new items, ``(3,)``; both are of the same items."""
    phi = world.pool.phi[world.is_new]
    best = predict_items(world.pool.oracle(), world.pool.features.of_items(world.is_new))
    squares = [np.square(found.mean - phi) for found in (priors, best)]
    learned, oracle = (of_items / of_items.mean(axis=0) for of_items in squares)
    ratio = np.sqrt(squares[0].mean(axis=0) / squares[1].mean(axis=0))
    return np.asarray(0.5 * ratio * (learned - oracle).std(axis=0) / np.sqrt(len(phi)))


def report(seed: int, sessions_per_day: int) -> None:
    """Print one pool's figures."""
    world = calibrate(seed, sessions_per_day)
    phi = world.pool.phi[world.is_new]
    priors, diagnostics = learned_priors(world, seed)
    pooled = pooled_priors(world)
    best = oracle_rmse(world.pool, world.is_new)
    stated = world.pool.features.author_difficulty[world.is_new]
    raw = np.sqrt(np.mean((stated - phi[:, 1]) ** 2))
    click.echo(f"seed {seed}, {sessions_per_day} sessions a day, {diagnostics}")
    click.echo(f"  coverage of (log a, b, logit c)  {coverage(priors, phi).round(3).tolist()}")
    click.echo(f"  RMSE, learned                    {rmse(priors, phi).round(4).tolist()}")
    click.echo(f"  RMSE, oracle                     {best.round(4).tolist()}")
    click.echo(f"  learned / oracle                 {(rmse(priors, phi) / best).round(4).tolist()}")
    click.echo(
        f"  … ± by the draw of new items     {ratio_errors(world, priors).round(4).tolist()}"
    )
    click.echo(f"  RMSE of b: author {raw:.3f}, pooled regression {rmse(pooled, phi)[1]:.3f}")
    independent = PredictedItems(priors.mean, priors.covariance * np.eye(3))
    textbook = PredictedItems(pooled.mean, pooled.covariance * 0.0 + np.diag([0.25, 2.25, 0.25]))
    for name, chosen in (
        ("textbook spread", textbook),
        ("pooled regression", pooled),
        ("hierarchy", priors),
        ("hierarchy, by coordinate", independent),
    ):
        needed = answers_needed(world, chosen, seed)
        click.echo(
            f"  answers to SE(b) {WANTED_SE}, {name}: median {np.nanmedian(needed):.0f}, "
            f"mean {np.nanmean(needed):.0f}"
        )


@click.command()
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--sessions", type=click.IntRange(min=1), default=1000, show_default=True)
def main(seeds: int, sessions: int) -> None:
    """Print the figures of several pools."""
    for seed in range(1, seeds + 1):
        report(seed, sessions)


if __name__ == "__main__":
    main()
