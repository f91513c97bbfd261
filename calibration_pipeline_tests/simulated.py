"""Simulated pools, days and nights with known truth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.irt.simulation import SelectionRule, simulate_sessions
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.digests import digest_of
from calibration_pipeline.policy.night import calibrate_night
from calibration_pipeline.policy.night_inputs import NightInputs
from calibration_pipeline.policy.windows import leaving_days, window_days
from calibration_pipeline.records import (
    AnchorSet,
    CalibrationState,
    DayResponses,
    DayRevision,
    FloatArray,
    ItemBank,
)

FIRST_DAY = date(2026, 1, 1)
NO_ANCHORS = AnchorSet(None, (), np.empty((0, 3)), digest_of("no anchors"))


def draw_items(n_items: int, generator: np.random.Generator, model: str = "3PL") -> FloatArray:
    """Draw true parameters as an adaptive pool has them, ``(n_items, 3)``."""
    truth = np.column_stack(
        [
            generator.lognormal(0.2, 0.3, n_items).clip(0.4, 2.5),
            generator.normal(0.0, 1.0, n_items),
            generator.uniform(0.1, 0.3, n_items),
        ]
    )
    if model in ("Rasch", "1PL"):
        truth[:, 0] = 1.0
    if model != "3PL":
        truth[:, 2] = 0.0
    return truth


def adaptive_data(
    truth: FloatArray,
    abilities: FloatArray,
    generator: np.random.Generator,
    *,
    answers: int = 30,
    pool_share: float = 0.025,
    believed: FloatArray | None = None,
) -> ResponseData:
    """One adaptive session per ability; the engine knows the truth unless it believes otherwise."""
    rule = SelectionRule(answers=answers, pool_share=pool_share)
    believed = truth if believed is None else believed
    sessions = simulate_sessions(abilities, truth, believed, rule, generator)
    return ResponseData(
        session_offsets=np.arange(len(abilities) + 1, dtype=np.int64) * answers,
        item=sessions.item.ravel(),
        correct=sessions.correct.ravel(),
        n_items=len(truth),
    )


def complete_data(correct: np.ndarray) -> ResponseData:
    """Everybody answered everything: ``(n_sessions, n_items)`` of 0 and 1."""
    n_sessions, n_items = correct.shape
    return ResponseData(
        session_offsets=np.arange(n_sessions + 1, dtype=np.int64) * n_items,
        item=np.tile(np.arange(n_items, dtype=np.int32), n_sessions),
        correct=np.asarray(correct, np.uint8).ravel(),
        n_items=n_items,
    )


def make_bank(
    n_items: int,
    *,
    scales: Mapping[str, str] | None = None,
    scale_index: Sequence[int] | None = None,
    author_difficulty: FloatArray | None = None,
    parameters: FloatArray | None = None,
    is_retired: Sequence[bool] | None = None,
    first: int = 0,
) -> ItemBank:
    """Build a bank of items i00000, i00001, … on one 3PL scale unless told otherwise."""
    models = dict(scales or {"main": "3PL"})
    nothing = np.full(n_items, np.nan)
    return ItemBank(
        keys=tuple((f"i{j:05d}", 1) for j in range(first, first + n_items)),
        scale_names=tuple(models),
        scale_models=tuple(models.values()),
        scale_index=np.zeros(n_items, np.int64) if scale_index is None else np.array(scale_index),
        parameters=np.full((n_items, 3), np.nan) if parameters is None else parameters,
        author_difficulty=nothing if author_difficulty is None else author_difficulty,
        content_families=(None,) * n_items,
        option_counts=np.zeros(n_items, np.int64),
        is_retired=np.zeros(n_items, bool) if is_retired is None else np.array(is_retired),
        digest=digest_of(n_items, tuple(models.items())),
    )


def make_anchors(bank: ItemBank, positions: Sequence[int], parameters: FloatArray) -> AnchorSet:
    """Build an anchor set of some of the bank's items, at the given values of the whole bank."""
    chosen = np.sort(np.asarray(positions, int))
    return AnchorSet(1, tuple(bank.keys[j] for j in chosen), parameters[chosen], digest_of(chosen))


@dataclass(frozen=True)
class SimulatedPool:
    """A bank with its anchors and the truth behind it."""

    truth: FloatArray
    bank: ItemBank
    anchors: AnchorSet

    @property
    def is_anchor(self) -> np.ndarray:
        """Which items are anchors, ``(n_items,)``."""
        return np.isin(np.arange(self.bank.n_items), self.bank.positions(self.anchors.keys))


def make_pool(
    n_items: int,
    n_anchors: int,
    generator: np.random.Generator,
    *,
    model: str = "3PL",
    author_error: float | None = 0.5,
) -> SimulatedPool:
    """Draw a pool on one scale; authors see the truth with `author_error`, or say nothing."""
    truth = draw_items(n_items, generator, model)
    author = None
    if author_error is not None:
        author = truth[:, 1] + generator.normal(0.0, author_error, n_items)
    bank = make_bank(n_items, scales={"main": model}, author_difficulty=author)
    chosen = generator.choice(n_items, n_anchors, replace=False)
    anchors = make_anchors(bank, chosen, truth) if n_anchors else NO_ANCHORS
    return SimulatedPool(truth, bank, anchors)


def day_from_data(day: date, bank: ItemBank, data: ResponseData, revision: int = 1) -> DayResponses:
    """Archive answers whose item numbers are bank positions."""
    names = np.zeros(data.n_sessions, "V16")
    digest = digest_of(day, data.session_offsets, data.item, data.correct)
    return DayResponses(
        DayRevision(day, revision, digest, data.n_responses, data.n_sessions, {}),
        bank.keys,
        data.session_offsets,
        data.item,
        data.correct,
        names,
        names,
    )


@dataclass(frozen=True)
class Traffic:
    """How many sessions a day, how long, and who takes them."""

    sessions: int = 60
    answers: int = 20
    pool_share: float = 0.4
    ability_mean: Callable[[int], float] = field(default=lambda _: 0.0)
    ability_sd: float = 1.0


def simulate_days(
    pool: SimulatedPool,
    n_days: int,
    generator: np.random.Generator,
    traffic: Traffic | None = None,
) -> list[DayResponses]:
    """Simulate consecutive days of adaptive sessions."""
    traffic = traffic or Traffic()
    days = []
    for number in range(n_days):
        abilities = generator.normal(
            traffic.ability_mean(number), traffic.ability_sd, traffic.sessions
        )
        data = adaptive_data(
            pool.truth,
            abilities,
            generator,
            answers=traffic.answers,
            pool_share=traffic.pool_share,
        )
        days.append(day_from_data(FIRST_DAY + timedelta(days=number), pool.bank, data))
    return days


def night_inputs(
    partition: date,
    days: Sequence[DayResponses],
    bank: ItemBank,
    anchors: AnchorSet,
    configuration: CalibrationConfiguration,
    *,
    parent: CalibrationState | None = None,
    baselines: Mapping[str, CalibrationState] | None = None,
) -> NightInputs:
    """Pick the window and the leaving days out of an archive, as the chain does."""
    inside = set(window_days(partition, configuration.window_days))
    left: set[date] = set()
    if parent is not None and parent.folded_through is not None:
        left = set(leaving_days(parent.folded_through, partition, configuration.window_days))
    return NightInputs(
        partition=partition,
        attempt=1,
        window=[day for day in days if day.revision.day in inside],
        leaving=[day for day in days if day.revision.day in left],
        parent=parent,
        baselines=baselines or {},
        bank=bank,
        anchors=anchors,
    )


def first_fits(state: CalibrationState) -> dict[str, CalibrationState]:
    """The scales that a state fitted, each with the state: baselines where none were before."""
    return {scale.name: state for scale in state.scales if scale.fitted}


def run_nights(
    pool: SimulatedPool,
    days: Sequence[DayResponses],
    configuration: CalibrationConfiguration,
    *,
    first: int = 0,
    between: Callable[[CalibrationState], CalibrationState] | None = None,
) -> list[CalibrationState]:
    """Calibrate every day from number `first` on; `between` may tamper with what is handed on."""
    states: list[CalibrationState] = []
    parent: CalibrationState | None = None
    baselines: dict[str, CalibrationState] = {}
    for day in days[first:]:
        state = calibrate_night(
            night_inputs(
                day.revision.day,
                days,
                pool.bank,
                pool.anchors,
                configuration,
                parent=parent,
                baselines=baselines,
            ),
            configuration,
        )
        states.append(state)
        if state.is_accepted:
            baselines = first_fits(state) | baselines
            parent = between(state) if between else state
    return states
