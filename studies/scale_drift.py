"""How far free trusted items move together over the nights of a healthy programme."""

import time
from dataclasses import dataclass, field

import click
import numpy as np

from calibration_pipeline.records import BoolArray, FloatArray
from studies.night_chains import ChainPlan
from studies.scale_chains import ScaleChain, WatchedChain, WatchedNight

NIGHTS = 90
ANCHORS = 288
BLOCK = 10
"""Nights that a mean is taken over; the first such nights with a full window, and the last, are
compared. Their windows share no answer."""


def drift_plan(items: int, sessions_per_day: int, seed: int, nights: int = NIGHTS) -> ChainPlan:
    """Plan a programme whose anchors are healthy."""
    return ChainPlan(
        seed=seed, nights=nights, items=items, anchors=ANCHORS, sessions_per_day=sessions_per_day
    )


@dataclass(frozen=True)
class Drift:
    """How far the free trusted items of one programme moved together.

    The same items are compared on all nights: those that were free and trusted by the first full
    window. Which items these are follows from their numbers of answers, not from their estimates.

    Attributes
    ----------
    plan
        The programme.
    items
        How many items.
    published, fitted
        Mean error of their difficulties by ten nights, from the first full window on, ``(blocks,)``
        each: as published, and before the link.
    own_error
        Standard error of the published movement that is the items' own: each of them moves by
        chance, as its answers come in.
    link_se
        Stated standard error of a night's intercept: how well tonight's answers to the anchors say
        where the scale is.
    """

    plan: ChainPlan
    items: int
    published: FloatArray
    fitted: FloatArray
    own_error: float
    link_se: float

    @property
    def moved(self) -> float:
        """By how much their mean moved as published."""
        return float(self.published[-1] - self.published[0])

    @property
    def moved_as_fitted(self) -> float:
        """By how much it moved before the link."""
        return float(self.fitted[-1] - self.fitted[0])

    @property
    def moved_se(self) -> float:
        """Standard error of `moved`: the items' own, and that of the scale on either side."""
        return float(np.hypot(self.own_error, 2**0.5 * self.link_se))


@dataclass
class _Blocks:
    """Sums of errors of some items by ten nights, ``(blocks, 2, n_items)``."""

    chosen: BoolArray
    sums: list[FloatArray] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def add(self, block: int, night: WatchedNight) -> None:
        if block == len(self.sums):
            self.sums.append(np.zeros((2, int(self.chosen.sum()))))
            self.counts.append(0)
        published = np.array([item.difficulty for item in night.items])
        found = np.stack([published, night.state.parameters[:, 1]]) - night.truth[:, 1]
        self.sums[block] += found[:, self.chosen]
        self.counts[block] += 1

    @property
    def means(self) -> FloatArray:
        return np.stack(self.sums) / np.array(self.counts)[:, None, None]


def drift_of(plan: ChainPlan) -> Drift:
    """Run a healthy programme, and say on the terminal how far it has come."""
    chain = ScaleChain(plan)
    full, blocks = chain.configuration.window_days, None
    link_errors = []
    began = time.perf_counter()
    for night in WatchedChain(chain).nights():
        if night.number % BLOCK == 0:
            each = (time.perf_counter() - began) / night.number
            click.echo(
                f"{plan.items} items, seed {plan.seed}: night {night.number} of {plan.nights}, "
                f"{each:.1f} s a night", err=True,
            )  # fmt: skip
        if night.number <= full:
            continue
        blocks = blocks or _Blocks(night.is_free_and_trusted)
        blocks.add((night.number - full - 1) // BLOCK, night)
        link_errors.append(night.link.intercept_se)
    if blocks is None:
        raise ValueError(f"{plan.nights} nights have no full window of {full} days")
    means = blocks.means
    n = means.shape[-1]
    return Drift(
        plan=plan,
        items=n,
        published=means[:, 0].mean(axis=-1),
        fitted=means[:, 1].mean(axis=-1),
        own_error=float((means[-1, 0] - means[0, 0]).std(ddof=1) / n**0.5),
        link_se=float(np.median(link_errors)),
    )
