"""What flags of drift are worth: false alarms on stable items, and drops that are found.

    python studies/flags.py                       # both: about ten minutes on two cores
    python studies/flags.py --only drops --seeds 1     # a part, to look at

Writes the figures and the plot of docs/flags.md.
"""

import json
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numba

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a file, Python looks in this folder alone
    sys.path.insert(0, str(ROOT))

from studies.flag_chains import (  # noqa: E402
    DroppingChain,
    FlaggedNights,
    detection,
    false_flags,
)
from studies.flags_page import draw, example_of, write_figures  # noqa: E402
from studies.night_chains import ChainPlan  # noqa: E402

DOCS = ROOT / "docs"
FIGURES = DOCS / "flags.json"
FIRST_MEASURED = 45
"""Half a window after the first reference: most items are compared by then."""
STABLE = ChainPlan(
    seed=0, nights=90, items=2400, anchors=288, sessions_per_day=500, answers=30, pool_share=0.025
)
DROPS = ChainPlan(
    seed=0, nights=67, items=100, anchors=20, sessions_per_day=200, answers=30, pool_share=0.5,
    step=0.4, step_nights=(36,), stepped_items=16,
)  # fmt: skip
SEEDS = {"stable": 1, "drops": 6}
"""Pools of each kind; they are numbered from 1."""

Figures = dict[str, Any]


def stable_chain(seed: int) -> Figures:
    """A pool in which nothing drifts, at full size."""
    return false_flags(
        FlaggedNights(DroppingChain(replace(STABLE, seed=seed))).run(), FIRST_MEASURED
    )


def dropping_chain(seed: int) -> Figures:
    """A pool with items whose b drops by .4, and the course of one of them."""
    nights = FlaggedNights(DroppingChain(replace(DROPS, seed=seed))).run()
    return detection(nights) | {"example": example_of(nights)}


CHAINS: dict[str, Callable[[int], Figures]] = {"stable": stable_chain, "drops": dropping_chain}


@click.command()
@click.option("--seeds", type=click.IntRange(min=1), help="At most so many pools of each kind.")
@click.option("--only", multiple=True, type=click.Choice(list(CHAINS)), help="A part of it.")
def main(seeds: int | None, only: tuple[str, ...]) -> None:
    """Run the study; parts that aren't run stand as before."""
    figures: Figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    # Two chains side by side, a core each.
    one_thread = {"initializer": numba.set_num_threads, "initargs": (1,)}
    with ProcessPoolExecutor(max_workers=2, **one_thread) as pool:
        jobs = {
            name: pool.map(CHAINS[name], range(1, 1 + min(seeds or SEEDS[name], SEEDS[name])))
            for name in only or CHAINS
        }
        for name, found in jobs.items():
            figures[name] = list(found)
            click.echo(f"{name}: {len(figures[name])} pools")
    FIGURES.write_text(json.dumps(figures) + "\n")
    if figures.keys() == CHAINS.keys():
        draw(figures["drops"], DOCS / "flags.svg")
        write_figures(figures, DOCS / "flags.md")
        click.echo("wrote the figures of docs/flags.md")


if __name__ == "__main__":
    main()
