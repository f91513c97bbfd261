"""Does each answer count once? Three rules over many simulated nights.

    make study                                   # all of it: about half an hour on two cores
    python studies/seventy_five_nights.py --seeds 2 --only starts     # a part, to look at

Writes docs/each-answer-once.md, its plot and its figures.
"""

import json
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numba
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a file, Python looks in this folder alone
    sys.path.insert(0, str(ROOT))

from calibration_pipeline.records import CalibrationState  # noqa: E402
from studies.night_chains import RULES, Chain, ChainPlan  # noqa: E402
from studies.seventy_five_nights_page import draw, write_page  # noqa: E402

DOCS = ROOT / "docs"
FIGURES = DOCS / "each-answer-once.json"
Z_95 = 1.959964


@dataclass(frozen=True)
class Programme:
    """A kind of programme to simulate: its plan, by which rules, and over how many seeds."""

    title: str
    plan: ChainPlan
    rules: tuple[str, ...]
    seeds: int


STEP_NIGHTS = (40, 300)
PROGRAMMES = {
    "own answers": Programme(
        "selection by the session's own answers", ChainPlan(seed=0), RULES, seeds=10
    ),
    "starts": Programme(
        "selection from a logged starting ability", ChainPlan(seed=0, knows_starts=0.8), RULES, 10
    ),
    "moving population": Programme(
        "the population's mean moves by .5", ChainPlan(seed=0, mean_shift=0.5), RULES[:1], 10
    ),
    # Every session gets a random 24 of the 100 items, so that each item has 60 answers a day.
    "steps": Programme(
        "difficulties that change",
        ChainPlan(
            seed=0, nights=340, items=100, sessions_per_day=250, pool_share=0.24, step=0.5,
            step_nights=STEP_NIGHTS, stepped_items=24,
        ),
        RULES[:2],
        seeds=2,
    ),
}  # fmt: skip


def measure(state: CalibrationState, chain: Chain, night: int) -> dict[str, float]:
    """What one night of one chain shows, over the items that aren't anchors."""
    truth = chain.truth(night)
    error = state.parameters[:, 1] - truth[:, 1]
    covered = np.abs(error) <= Z_95 * np.sqrt(state.covariance[:, 1, 1])
    free, stepped = ~chain.pool.is_anchor, chain.stepped
    stable = free & ~stepped
    found = {
        "coverage": covered[stable].mean(),
        "mean_square": np.square(error[stable]).mean(),
        "bias": error[stable].mean(),
        "dropped": state.is_contradicted[stable].sum(),
        "compared": np.isfinite(state.carried_shift[stable]).sum(),
        "accepted": state.is_accepted,
    }
    if stepped.any():
        moved = (state.parameters[:, 1] - chain.pool.truth[:, 1]) * chain.direction
        found["moved"] = moved[stepped].mean() / chain.plan.step
    return {name: float(value) for name, value in found.items()}


def run_chain(job: tuple[str, str, int]) -> list[dict[str, float]]:
    """Simulate and calibrate one chain: a kind of programme, a rule, a seed."""
    name, rule, seed = job
    chain = Chain(replace(PROGRAMMES[name].plan, seed=seed))
    states = enumerate(chain.calibrate(rule), start=1)
    return [measure(state, chain, night) for night, state in states]


def pooled(chains: list[list[dict[str, float]]]) -> dict[str, list[float]]:
    """Means over the seeds, by night; to six decimals, which is more than seeds can tell."""
    nights = range(len(chains[0]))
    return {
        name: [round(float(np.mean([chain[k][name] for chain in chains])), 6) for k in nights]
        for name in chains[0][0]
    }


def study(
    names: Iterable[str], seeds: int | None, report: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Run the kinds of programmes that are named, two chains at a time."""
    results: dict[str, dict[str, Any]] = {}
    # Two chains side by side, a core each.
    one_thread = {"initializer": numba.set_num_threads, "initargs": (1,)}
    with ProcessPoolExecutor(max_workers=2, **one_thread) as pool:
        for name in names:
            programme, results[name] = PROGRAMMES[name], {}
            n_seeds = min(seeds or programme.seeds, programme.seeds)
            for rule in programme.rules:
                report(f"{name}, {rule}: {n_seeds} chains of {programme.plan.nights} nights")
                jobs = [(name, rule, seed) for seed in range(n_seeds)]
                results[name][rule] = pooled(list(pool.map(run_chain, jobs)))
            results[name]["seeds"] = n_seeds
    return results


@click.command()
@click.option("--seeds", type=int, help="At most so many chains of each kind.")
@click.option("--only", multiple=True, type=click.Choice(list(PROGRAMMES)), help="A part of it.")
def main(seeds: int | None, only: tuple[str, ...]) -> None:
    """Run the study and write its page, plot and figures; parts that aren't run stand as before."""
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    figures |= study(only or PROGRAMMES, seeds, click.echo)
    FIGURES.write_text(json.dumps(figures) + "\n")
    if set(figures) == set(PROGRAMMES):
        draw(figures, DOCS / "each-answer-once.svg")
        write_page(figures, DOCS / "each-answer-once.md")
        click.echo("wrote docs/each-answer-once.md")


if __name__ == "__main__":
    main()
