"""Does the scale hold? Drift under healthy anchors, anchors that all move, references with errors.

    python studies/scale_holds.py                  # all of it: some twenty minutes on two cores
    python studies/scale_holds.py --only alarms    # a part, to look at
    python studies/scale_holds.py --only drift --items 600 --sessions-per-day 600 --seeds 8

Prints the tables of docs/anchors.md.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a file, Python looks in this folder alone
    sys.path.insert(0, str(ROOT))

from calibration_pipeline.policy.configuration import CalibrationConfiguration  # noqa: E402
from studies.night_chains import ChainPlan  # noqa: E402
from studies.scale_chains import ScaleChain, WatchedChain  # noqa: E402
from studies.scale_drift import NIGHTS, drift_of, drift_plan  # noqa: E402

SHIFT, SHIFT_AFTER = -0.4, 45
REFERENCE_ERROR = 0.1
SIZES = ((600, 600), (2400, 2000))
"""Items, and sessions a day, of the healthy programmes."""
ALARM_PLAN = ChainPlan(seed=0, nights=NIGHTS)
REFERENCE_PLAN = ChainPlan(
    seed=0, nights=1, items=60, anchors=12, sessions_per_day=16_000, pool_share=0.6
)
ONE_NIGHT = CalibrationConfiguration(window_days=1, minimum_anchors=5)


@dataclass(frozen=True)
class Watched:
    """What the watch said of one programme.

    Attributes
    ----------
    residual_alarms, population_alarms
        Nights of either kind of alarm.
    judged
        Nights that could have had one.
    coverage
        Of the free trusted items' intervals on the last night.
    """

    residual_alarms: tuple[int, ...]
    population_alarms: tuple[int, ...]
    judged: int
    coverage: float


def watch_of(chain: ScaleChain) -> Watched:
    """Run a programme and collect its alarms."""
    nights = list(WatchedChain(chain).nights())
    reasons = [(n.number, reason) for n in nights for reason in n.watch.reasons]
    return Watched(
        tuple(sorted({number for number, reason in reasons if "free items" in reason})),
        tuple(sorted({number for number, reason in reasons if "candidates" in reason})),
        sum(night.watch.compared_with is not None for night in nights),
        nights[-1].coverage,
    )


@dataclass(frozen=True)
class Covered:
    """Coverage of one night's free items, and by how much all of them are off together."""

    coverage: float
    mean_error: float


def coverage_of(case: tuple[int, bool, bool]) -> Covered:
    """Fit one night from (seed, whether the errors are stated, whether the night is linked)."""
    seed, is_stated, is_linked = case
    fewest = ONE_NIGHT.minimum_anchor_responses if is_linked else 10**9
    chain = ScaleChain(
        replace(REFERENCE_PLAN, seed=seed),
        replace(ONE_NIGHT, minimum_anchor_responses=fewest),
        reference_error=REFERENCE_ERROR,
    )
    known = replace(chain.anchor_set, covariance=None)
    (night,) = WatchedChain(chain, None if is_stated else known).nights()
    return Covered(night.coverage, float(night.errors.mean()))


def print_drift(seeds: Sequence[int], sizes: Sequence[tuple[int, int]] = SIZES) -> None:
    """Healthy anchors: how far free trusted items move together."""
    plans = [drift_plan(*size, seed) for size in sizes for seed in seeds]
    click.echo(
        "\n| items, sessions a day | seed | free items | by ten nights, from night 31 on "
        "| moved by | ± | ± the items' own | ± one night's link | as fitted |"
    )
    click.echo("|---|---|---|---|---|---|---|---|---|")
    found = []
    for drift in _as_they_come(drift_of, plans):
        found.append(drift)
        plan = drift.plan
        means = ", ".join(f"{mean:+.4f}" for mean in drift.published)
        click.echo(
            f"| {plan.items}, {plan.sessions_per_day} | {plan.seed} | {drift.items} | {means} "
            f"| {drift.moved:+.4f} | {drift.moved_se:.4f} | {drift.own_error:.4f} "
            f"| {drift.link_se:.4f} | {drift.moved_as_fitted:+.4f} |"
        )
    weights = np.array([drift.moved_se**-2 for drift in found])
    mean = np.average([drift.moved for drift in found], weights=weights)
    fitted = np.average([drift.moved_as_fitted for drift in found], weights=weights)
    click.echo(
        f"| all, by precision | | | | {mean:+.4f} | {weights.sum() ** -0.5:.4f} | | "
        f"| {fitted:+.4f} |"
    )


def print_alarms(seeds: Sequence[int]) -> None:
    """Anchors that all move, and healthy ones: when there is an alarm."""
    click.echo("\n| anchors | programmes | nights to the alarm | by free items | by candidates |")
    click.echo("|---|---|---|---|---|")
    plans = [replace(ALARM_PLAN, seed=seed) for seed in seeds]
    for title, length in (("-0.4 at once", 0), ("-0.4 over 30 nights", 30)):
        chains = [
            ScaleChain(plan, anchor_shift=SHIFT, shift_after=SHIFT_AFTER, shift_nights=length)
            for plan in plans
        ]
        found = _each(watch_of, chains)
        delays = sorted(_delay(watched) for watched in found)
        click.echo(
            f"| {title} | {len(found)} | {', '.join(map(str, delays))} "
            f"| {sum(bool(w.residual_alarms) for w in found)} "
            f"| {sum(bool(w.population_alarms) for w in found)} |"
        )
    healthy = [ScaleChain(replace(plan, seed=plan.seed + 100)) for plan in plans]
    found = _each(watch_of, [*healthy, *(ScaleChain(plan) for plan in plans)])
    judged = sum(watched.judged for watched in found)
    click.echo(
        f"| healthy | {len(found)} | {judged} nights judged "
        f"| {sum(bool(w.residual_alarms) for w in found)} programmes, "
        f"{sum(len(w.residual_alarms) for w in found)} nights "
        f"| {sum(bool(w.population_alarms) for w in found)} programmes, "
        f"{sum(len(w.population_alarms) for w in found)} nights |"
    )


def _delay(watched: Watched) -> float:
    """Nights from the shift to the first alarm after it; infinite without one."""
    alarms = {*watched.residual_alarms, *watched.population_alarms}
    return min((night - SHIFT_AFTER for night in alarms if night > SHIFT_AFTER), default=np.inf)


def print_references(seeds: Sequence[int]) -> None:
    """References with errors: how often published intervals hold the truth."""
    click.echo("\n| references' errors | linked | coverage | common error of all free items |")
    click.echo("|---|---|---|---|")
    for is_linked in (True, False):
        for is_stated in (False, True):
            cases = [(seed, is_stated, is_linked) for seed in seeds]
            found = _each(coverage_of, cases)
            click.echo(
                f"| {'stated' if is_stated else 'taken as none'} | {'yes' if is_linked else 'no'} "
                f"| {np.mean([f.coverage for f in found]):.1%} "
                f"| {np.std([f.mean_error for f in found]):.3f} |"
            )


def _each(function: Callable, cases: Iterable) -> list:  # type: ignore[type-arg]
    return list(_as_they_come(function, cases))


def _as_they_come(function: Callable, cases: Iterable) -> Iterator:  # type: ignore[type-arg]
    with ProcessPoolExecutor() as pool:
        yield from pool.map(function, cases)


PARTS: dict[str, tuple[Callable[..., None], int]] = {
    "drift": (print_drift, 2),
    "alarms": (print_alarms, 3),
    "references": (print_references, 12),
}


@click.command()
@click.option("--only", type=click.Choice(list(PARTS)), help="One part alone.")
@click.option("--seeds", type=int, help="Programmes of each kind; several by default.")
@click.option("--first-seed", type=int, default=1, show_default=True, help="Of the programmes.")
@click.option("--items", type=int, help="Size of the pool in the part 'drift'; both by default.")
@click.option("--sessions-per-day", type=int, default=2000, show_default=True, help="With --items.")
def main(
    only: str | None, seeds: int | None, first_seed: int, items: int | None, sessions_per_day: int
) -> None:
    """Print the tables of docs/anchors.md."""
    for name, (part, usual) in PARTS.items():
        if only not in (None, name):
            continue
        chosen = range(first_seed, first_seed + (seeds or usual))
        if name == "drift" and items:
            print_drift(chosen, [(items, sessions_per_day)])
        else:
            part(chosen)


if __name__ == "__main__":
    main()
