"""Simulated programmes whose nights are calibrated in memory, one after another, by several rules.

Nothing is stored and no orchestrator runs: `calibrate_night` is the same function that the nightly
job calls.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property

import numpy as np

from calibration_pipeline.irt.model import to_internal
from calibration_pipeline.irt.simulation import SelectionRule, simulate_sessions
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.digests import digest_of
from calibration_pipeline.policy.night import calibrate_night
from calibration_pipeline.policy.night_inputs import NightInputs
from calibration_pipeline.policy.simulated_pool import PoolPlan, SimulatedPool, simulate_pool
from calibration_pipeline.policy.windows import leaving_days, window_days
from calibration_pipeline.records import (
    AnchorSet,
    BoolArray,
    CalibrationState,
    DayResponses,
    DayRevision,
    FloatArray,
    ItemBank,
)

FIRST_DAY = date(2026, 1, 1)
RULES = ("ours", "window alone", "naive")
"""What a night takes over: the carried information, nothing, or last night's whole posterior."""


@dataclass(frozen=True)
class ChainPlan:
    """A programme to simulate.

    Attributes
    ----------
    seed
        Of the pool and of everything else.
    nights, items, anchors, sessions_per_day, answers
        Sizes; the pool is that of `simulate_pool`.
    pool_share
        Share of the pool that the engine lets a session see: an item's highest exposure rate.
    knows_starts
        Share of the sessions that start from an ability known from elsewhere (θ with an error of
        `SelectionRule.start_sd`), which the log states; the others start from N(0, 1).
    mean_shift
        By how much the population's mean has moved after the last night; evenly over the nights.
    step, step_nights, stepped_items
        So many items move: their true b by `step` after the first of these nights, half of them
        up and half down, and back after the second.
    """

    seed: int
    nights: int = 75
    items: int = 200
    anchors: int = 24
    sessions_per_day: int = 100
    answers: int = 24
    pool_share: float = 0.2
    knows_starts: float = 0.0
    mean_shift: float = 0.0
    step: float = 0.0
    step_nights: tuple[int, ...] = ()
    stepped_items: int = 0


@dataclass(frozen=True)
class Chain:
    """A pool, its answers by day, and its truth."""

    plan: ChainPlan
    configuration: CalibrationConfiguration = field(default_factory=CalibrationConfiguration)

    @cached_property
    def pool(self) -> SimulatedPool:
        """The items as they are on the first night."""
        plan = PoolPlan(items=self.plan.items, anchors=self.plan.anchors)
        return simulate_pool(plan, np.random.default_rng([self.plan.seed, 0]))

    @cached_property
    def bank(self) -> ItemBank:
        """The pool as the calibration knows it: of the items that are no anchors, nothing."""
        pool, n = self.pool, self.plan.items
        known = np.where(pool.is_anchor[:, None], pool.truth, np.nan)
        return ItemBank(
            keys=tuple((name, 1) for name in pool.item_ids),
            scale_names=("main",),
            scale_models=("3PL",),
            scale_index=np.zeros(n, np.int64),
            parameters=known,
            author_difficulty=np.full(n, np.nan),
            content_families=pool.content_families,
            option_counts=pool.option_counts,
            is_retired=np.zeros(n, bool),
            digest=digest_of(pool.item_ids),
        )

    @cached_property
    def anchor_set(self) -> AnchorSet:
        """Anchors at their true values."""
        at = np.flatnonzero(self.pool.is_anchor)
        values = self.pool.truth[at]
        return AnchorSet(1, tuple(self.bank.keys[j] for j in at), values, digest_of(values))

    @cached_property
    def stepped(self) -> BoolArray:
        """Items that move, ``(items,)``."""
        moved = np.zeros(self.plan.items, bool)
        free = np.flatnonzero(~self.pool.is_anchor)
        generator = np.random.default_rng([self.plan.seed, 1])
        moved[generator.choice(free, self.plan.stepped_items, replace=False)] = True
        return moved

    @cached_property
    def direction(self) -> FloatArray:
        """Which way each item moves: +1, −1, or 0, ``(items,)``."""
        signs = np.zeros(self.plan.items)
        signs[self.stepped] = np.resize([1.0, -1.0], self.plan.stepped_items)
        return signs

    def truth(self, night: int) -> FloatArray:
        """True parameters on a night, counted from 1, ``(items, 3)``."""
        truth = self.pool.truth.copy()
        for number, at in enumerate(self.plan.step_nights):
            if night > at:
                truth[:, 1] += self.plan.step * self.direction * (-1) ** number
        return truth

    def day_of(self, night: int) -> date:
        """The local day of a night, counted from 1."""
        return FIRST_DAY + timedelta(days=night - 1)

    def simulate_day(self, night: int) -> DayResponses:
        """The answers of one day."""
        plan = self.plan
        generator = np.random.default_rng([plan.seed, 2, night])
        mean = plan.mean_shift * night / plan.nights
        abilities = generator.normal(mean, 1.0, plan.sessions_per_day)
        rule = SelectionRule(answers=plan.answers, pool_share=plan.pool_share)
        starts = abilities + generator.normal(0.0, rule.start_sd, len(abilities))
        starts[generator.random(len(abilities)) >= plan.knows_starts] = np.nan
        sessions = simulate_sessions(
            abilities, self.truth(night), self.pool.engine_parameters, rule, generator,
            starts=starts,
        )  # fmt: skip
        n, item = plan.sessions_per_day, sessions.item.ravel()
        digest = digest_of(item, sessions.correct)
        nobody = np.zeros(n, "V16")
        return DayResponses(
            revision=DayRevision(self.day_of(night), 1, digest, len(item), n, {}),
            keys=self.bank.keys,
            session_offsets=np.arange(n + 1, dtype=np.int64) * plan.answers,
            item=item,
            correct=sessions.correct.ravel(),
            session_pseudonyms=nobody,
            candidate_pseudonyms=nobody,
            starting_ability=sessions.estimate[:, 0].copy(),
        )

    @cached_property
    def days(self) -> Mapping[date, DayResponses]:
        """All answers by day."""
        nights = range(1, self.plan.nights + 1)
        return {self.day_of(night): self.simulate_day(night) for night in nights}

    def calibrate(self, rule: str) -> Iterator[CalibrationState]:
        """Calibrate the nights in order, by one of `RULES`."""
        parent: CalibrationState | None = None
        configuration = self.configuration
        if rule == "naive":  # it forgets nothing, and never asks whether an item has changed
            configuration = replace(
                configuration, forgetting_half_life_days=1e9, contradiction_z=1e9
            )
        for night in range(1, self.plan.nights + 1):
            state = calibrate_night(self._inputs(night, parent, rule), configuration)
            yield state
            if state.is_accepted or rule == "naive":  # whose jumps the verdict would stop
                parent = state

    def _inputs(self, night: int, parent: CalibrationState | None, rule: str) -> NightInputs:
        partition, length = self.day_of(night), self.configuration.window_days
        leaving: list[date] = []
        if parent is not None and parent.folded_through is not None:
            leaving = leaving_days(parent.folded_through, partition, length)
        return NightInputs(
            partition=partition,
            attempt=1,
            window=self._read(window_days(partition, length)),
            leaving=self._read(leaving) if rule == "ours" else [],
            parent=_taken_over(parent, rule),
            baselines={},
            bank=self.bank,
            anchors=self.anchor_set,
        )

    def _read(self, days: Sequence[date]) -> list[DayResponses]:
        return [self.days[day] for day in days if day in self.days]


def _taken_over(parent: CalibrationState | None, rule: str) -> CalibrationState | None:
    """The parent as a rule sees it."""
    if parent is None or rule == "ours":
        return parent
    if rule == "window alone":
        nothing = np.zeros_like(parent.carried_information)
        return replace(parent, carried_information=nothing, carried_linear=nothing[..., 0])
    return _with_posterior_carried(parent)


def _with_posterior_carried(parent: CalibrationState) -> CalibrationState:
    """Count as carried all of last night's posterior but the base prior, which comes in again."""
    free = (np.diagonal(parent.covariance, axis1=1, axis2=2) > 0) & ~parent.is_anchor[:, None]
    pairs = free[:, :, None] & free[:, None, :]
    absent = np.where(free, 0.0, 1.0)[:, :, None] * np.eye(3)
    precision = np.linalg.inv(np.where(pairs, parent.covariance, 0.0) + absent) - absent
    base = np.where(free, parent.prior_precision, 0.0)
    phi = np.where(free, to_internal(parent.parameters), 0.0)
    linear = np.einsum("jkm,jm->jk", precision, phi) - base * parent.prior_mean
    # A mode over intercepts lies lower in log a than the density it is of: once is enough.
    linear[:, 0] += 1.0
    return replace(
        parent,
        carried_information=precision - base[:, :, None] * np.eye(3),
        carried_linear=np.where(free, linear, 0.0),
    )
