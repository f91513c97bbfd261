"""Does the scale hold? Drift under healthy anchors, anchors that all move, references with errors.

    python studies/scale_holds.py                  # all of it: most of an hour on two cores
    python studies/scale_holds.py --only alarms    # a part, to look at

Prints the tables of docs/anchors.md.
"""

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a file, Python looks in this folder alone
    sys.path.insert(0, str(ROOT))

from calibration_pipeline.policy.configuration import CalibrationConfiguration  # noqa: E402
from calibration_pipeline.records import BoolArray, FloatArray  # noqa: E402
from studies.night_chains import ChainPlan  # noqa: E402
from studies.scale_chains import ScaleChain, WatchedChain, WatchedNight  # noqa: E402

NIGHTS = 90
SHIFT, SHIFT_AFTER = -0.4, 45
REFERENCE_ERROR = 0.1
DRIFT_PLANS = tuple(
    ChainPlan(seed=0, nights=NIGHTS, items=items, anchors=288, sessions_per_day=sessions)
    for items, sessions in ((600, 600), (2400, 2000))
)
ALARM_PLAN = ChainPlan(seed=0, nights=NIGHTS)
REFERENCE_PLAN = ChainPlan(
    seed=0, nights=1, items=60, anchors=12, sessions_per_day=16_000, pool_share=0.6
)
ONE_NIGHT = CalibrationConfiguration(window_days=1, minimum_anchors=5)
COMPARED_NIGHTS = 10
"""Means over so many nights, from the first full window on and at the end, are compared."""


@dataclass(frozen=True)
class Drift:
    """How far the free trusted items of one programme moved together.

    Attributes
    ----------
    items
        Free items that were trusted by the first full window.
    early, late
        Their mean published error, over ten nights then and over the last ten.
    fitted
        By how much they moved between these as fitted, before the link.
    own_error
        Standard error of the published movement that is the items' own: each of them moves by
        chance, as its answers come in.
    link_se
        Stated standard error of a night's intercept.
    """

    items: int
    early: float
    late: float
    fitted: float
    own_error: float
    link_se: float

    @property
    def moved(self) -> float:
        """By how much their mean moved as published."""
        return self.late - self.early


def drift_of(plan: ChainPlan) -> Drift:
    """Run a healthy programme of 90 nights."""
    chain = ScaleChain(plan)
    full = chain.configuration.window_days
    early, late, link_errors = [], [], []
    for night in WatchedChain(chain).nights():
        if night.number <= full:
            continue
        if not early:
            chosen = night.is_free_and_trusted
        link_errors.append(night.link.intercept_se)
        if night.number <= full + COMPARED_NIGHTS:
            early.append(_errors(night, chosen))
        elif night.number > plan.nights - COMPARED_NIGHTS:
            late.append(_errors(night, chosen))
    before, after = np.mean(early, axis=0), np.mean(late, axis=0)
    (published, fitted), n = after - before, int(chosen.sum())
    return Drift(
        items=n,
        early=float(before[0].mean()),
        late=float(after[0].mean()),
        fitted=float(fitted.mean()),
        own_error=float(published.std(ddof=1) / n**0.5),
        link_se=float(np.median(link_errors)),
    )


def _errors(night: WatchedNight, chosen: BoolArray) -> FloatArray:
    """Errors of the difficulties of some items as published, and as fitted, ``(2, n_chosen)``."""
    published = np.array([item.difficulty for item in night.items])
    found = np.stack([published, night.state.parameters[:, 1]]) - night.truth[:, 1]
    return np.asarray(found[:, chosen])


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


def print_drift(seeds: int) -> None:
    """Healthy anchors: how far free trusted items move together."""
    plans = [replace(plan, seed=seed) for plan in DRIFT_PLANS for seed in range(1, seeds + 1)]
    click.echo(
        "\n| items, sessions a day | free items | nights 31–40 | nights 81–90 | moved by "
        "| ± their own | as fitted | ± of one night's link |"
    )
    click.echo("|---|---|---|---|---|---|---|---|")
    for plan, drift in zip(plans, _each(drift_of, plans), strict=True):
        click.echo(
            f"| {plan.items}, {plan.sessions_per_day} | {drift.items} | {drift.early:+.4f} "
            f"| {drift.late:+.4f} | {drift.moved:+.4f} | {drift.own_error:.4f} "
            f"| {drift.fitted:+.4f} | {drift.link_se:.4f} |"
        )


def print_alarms(seeds: int) -> None:
    """Anchors that all move, and healthy ones: when there is an alarm."""
    click.echo("\n| anchors | programmes | nights to the alarm | by free items | by candidates |")
    click.echo("|---|---|---|---|---|")
    plans = [replace(ALARM_PLAN, seed=seed) for seed in range(1, seeds + 1)]
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


def print_references(seeds: int) -> None:
    """References with errors: how often published intervals hold the truth."""
    click.echo("\n| references' errors | linked | coverage | common error of all free items |")
    click.echo("|---|---|---|---|")
    for is_linked in (True, False):
        for is_stated in (False, True):
            cases = [(seed, is_stated, is_linked) for seed in range(1, seeds + 1)]
            found = _each(coverage_of, cases)
            click.echo(
                f"| {'stated' if is_stated else 'taken as none'} | {'yes' if is_linked else 'no'} "
                f"| {np.mean([f.coverage for f in found]):.1%} "
                f"| {np.std([f.mean_error for f in found]):.3f} |"
            )


def _each(function: Callable, cases: Iterable) -> list:  # type: ignore[type-arg]
    with ProcessPoolExecutor() as pool:
        return list(pool.map(function, cases))


PARTS: dict[str, tuple[Callable[[int], None], int]] = {
    "drift": (print_drift, 4),
    "alarms": (print_alarms, 3),
    "references": (print_references, 12),
}


@click.command()
@click.option("--only", type=click.Choice(list(PARTS)), help="One part alone.")
@click.option("--seeds", type=int, help="Programmes of each kind; several by default.")
def main(only: str | None, seeds: int | None) -> None:
    """Print the tables of docs/anchors.md."""
    for name, (part, usual) in PARTS.items():
        if only in (None, name):
            part(seeds or usual)


if __name__ == "__main__":
    main()
