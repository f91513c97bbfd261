"""How often items qualify as anchors: stable ones, and ones that drifted over the last 42 nights.

Simulates programmes whose items are answered as often as gives their difficulties standard errors
of .05 to .18; three in four drift. Nights are calibrated by the function of the nightly
job, and the movement is judged by that of the selection job. Prints the table of docs/anchors.md:

    .venv/bin/python studies/anchors.py
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta

import click
import numpy as np

from calibration_pipeline.irt.model import probability_gradients, response_probabilities
from calibration_pipeline.policy.anchor_movement import anchor_movement
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
    IntArray,
    ItemBank,
)

ERRORS = (0.06, 0.1, 0.15, 0.2, 0.25)
"""Of b, from one window by itself: how often an item is answered follows from it."""
DRIFTS = (0.0, 0.1, 0.2, 0.4)
"""Over the last 42 nights, evenly; every other item up, the others down."""
LOG_DISCRIMINATION_SD, LOGIT_GUESSING_SD = 0.25, 0.35
COLUMNS = (
    "error", "drift", "qualifies", "published within", "published error", "answers",
    "movement error", "z", "seen",
)  # fmt: skip
HEADINGS = (
    "answers in the window", "± b, published", "± movement", "stable, qualify",
    *(f"moved by {drift:g}, refused" for drift in DRIFTS[1:]),
    "sd of z, stable", f"seen of {DRIFTS[-1]:g}", "stable, published b within .05",
)  # fmt: skip
PER_CELL, ANCHORS, ANSWERS = 8, 30, 20
DAYS, WINDOW, MOVEMENT = 102, 30, 42
NIGHTS_APART = 14
FIRST_DAY = date(2026, 1, 1)


@dataclass(frozen=True)
class Pool:
    """Items with their truth on the first day, the drift of each, and how often each is seen."""

    truth: FloatArray
    error: FloatArray
    drift: FloatArray
    answers_per_day: FloatArray

    @classmethod
    def draw(cls, generator: np.random.Generator) -> "Pool":
        """Draw a pool: anchors first, then so many items per error and drift."""
        cells = [(e, d) for e in ERRORS for d in DRIFTS for _ in range(PER_CELL)]
        n = ANCHORS + len(cells)
        error = np.array([0.08] * ANCHORS + [e for e, _ in cells])
        drift = np.array([0.0] * ANCHORS + [d for _, d in cells]) * np.resize([1.0, -1.0], n)
        truth = np.column_stack(
            [
                generator.lognormal(0.2, 0.25, n),
                generator.normal(0.0, 0.8, n),
                generator.uniform(0.1, 0.3, n),
            ]
        )
        return cls(truth, error, drift, _answers_needed(truth, error) / WINDOW)

    def truth_on(self, day: int) -> FloatArray:
        """Parameters of a day, counted from 0."""
        truth = self.truth.copy()
        passed = np.clip((day - (DAYS - 1 - MOVEMENT)) / MOVEMENT, 0.0, 1.0)
        truth[:, 1] += self.drift * passed
        return truth


def _answers_needed(truth: FloatArray, error: FloatArray) -> FloatArray:
    """Answers that give b with a standard error, by abilities N(0, 1), ``(n,)``.

    The prior knows a and c as well as that of a pool does, and nothing of b.
    """
    theta = np.linspace(-4.0, 4.0, 41)
    weight = np.exp(-0.5 * theta**2) / np.exp(-0.5 * theta**2).sum()
    p = response_probabilities(theta, truth)
    slopes = probability_gradients(theta, truth)
    of_one = np.einsum("jkq,jmq,jq,q->jkm", slopes, slopes, 1.0 / (p * (1.0 - p)), weight)
    prior = np.diag([1 / LOG_DISCRIMINATION_SD**2, 0.0, 1 / LOGIT_GUESSING_SD**2])
    low, high = np.ones(len(truth)), np.full(len(truth), 1e5)
    for _ in range(40):
        middle = np.sqrt(low * high)
        variance = np.linalg.inv(middle[:, None, None] * of_one + prior)[:, 1, 1]
        is_enough = variance <= error**2
        low, high = np.where(is_enough, low, middle), np.where(is_enough, middle, high)
    return high


def simulate_day(
    pool: Pool, bank: ItemBank, day: int, generator: np.random.Generator
) -> DayResponses:
    """Sessions of items drawn at random, each as often as it should be seen."""
    sessions = round(pool.answers_per_day.sum() / ANSWERS)
    theta = generator.normal(size=sessions)
    wanted = np.log(pool.answers_per_day) + generator.gumbel(size=(sessions, len(pool.error)))
    item = np.argsort(-wanted, axis=1)[:, :ANSWERS]
    a, b, c = (column[item] for column in pool.truth_on(day).T)
    p = c + (1.0 - c) / (1.0 + np.exp(-a * (theta[:, None] - b)))
    correct = (generator.random(p.shape) < p).astype(np.uint8).ravel()
    at, nobody = item.astype(np.int32).ravel(), np.zeros(sessions, "V16")
    revision = DayRevision(
        FIRST_DAY + timedelta(days=day), 1, digest_of(at, correct), len(at), sessions, {}
    )
    offsets = np.arange(sessions + 1, dtype=np.int64) * ANSWERS
    return DayResponses(revision, bank.keys, offsets, at, correct, nobody, nobody)


def make_bank(pool: Pool) -> ItemBank:
    """The pool as the calibration knows it."""
    n = len(pool.error)
    nothing: IntArray = np.zeros(n, np.int64)
    return ItemBank(
        keys=tuple((f"i{j:04d}", 1) for j in range(n)),
        scale_names=("main",),
        scale_models=("3PL",),
        scale_index=nothing,
        parameters=np.full((n, 3), np.nan),
        author_difficulty=np.full(n, np.nan),
        content_families=(None,) * n,
        option_counts=nothing,
        is_retired=np.zeros(n, bool),
        digest=digest_of(n),
    )


def calibrated(seed: int) -> tuple[Pool, CalibrationState, CalibrationState, AnchorSet]:
    """A programme's last night, the one 42 nights before, and its anchors."""
    generator = np.random.default_rng(seed)
    pool = Pool.draw(generator)
    bank = make_bank(pool)
    values = pool.truth[:ANCHORS]
    anchors = AnchorSet(1, bank.keys[:ANCHORS], values, digest_of(values))
    days = {
        day.revision.day: day
        for day in (simulate_day(pool, bank, number, generator) for number in range(DAYS))
    }
    configuration = CalibrationConfiguration()
    configuration = replace(configuration, em=replace(configuration.em, quadrature_nodes=41))
    states: dict[int, CalibrationState] = {}
    parent: CalibrationState | None = None
    last = DAYS - 1
    for number in range(
        last - NIGHTS_APART * ((last - WINDOW) // NIGHTS_APART), DAYS, NIGHTS_APART
    ):
        night = FIRST_DAY + timedelta(days=number)
        left: list[date] = []
        if parent is not None and parent.folded_through is not None:
            left = leaving_days(parent.folded_through, night, WINDOW)
        window = window_days(night, WINDOW)
        inputs = NightInputs(
            partition=night,
            attempt=1,
            window=[days[day] for day in window if day in days],
            leaving=[days[day] for day in left if day in days],
            parent=parent,
            baselines={},
            bank=bank,
            anchors=anchors,
        )
        parent = states[number] = calibrate_night(inputs, configuration)
    return pool, states[last], states[last - MOVEMENT], anchors


def judged(seed: int) -> FloatArray:
    """One row per item of a programme that is no anchor; columns as `COLUMNS`."""
    settings = CalibrationConfiguration().anchors
    pool, state, earlier, anchors = calibrated(seed)
    found = anchor_movement(state, earlier, anchors, settings)
    published = np.abs(state.parameters[:, 1] - earlier.parameters[:, 1])
    columns = {
        "error": pool.error,
        "drift": np.abs(pool.drift),
        "qualifies": found.is_within & found.is_precise,
        "published within": published <= settings.movement_margin,
        "published error": np.sqrt(state.covariance[:, 1, 1]),
        "answers": state.window_counts,
        "movement error": found.change_se,
        "z": found.change / found.change_se,
        "seen": found.change * np.sign(pool.drift),
    }
    return np.column_stack([columns[name] for name in COLUMNS])[ANCHORS:]


@click.command()
@click.option("--programmes", type=click.IntRange(min=1), default=10, show_default=True)
def main(programmes: int) -> None:
    """Print the table."""
    table = np.concatenate([judged(seed) for seed in range(programmes)])
    column = dict(zip(COLUMNS, table.T, strict=True))
    click.echo(f"{programmes * PER_CELL} items a cell\n")
    click.echo(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    for error in ERRORS:
        of = {d: (column["error"] == error) & np.isclose(column["drift"], d) for d in DRIFTS}
        stable = of[0.0]
        cells = [
            f"{np.median(column['answers'][stable]):.0f}",
            f"{np.median(column['published error'][stable]):.3f}",
            f"{np.nanmedian(column['movement error'][stable]):.3f}",
            f"{column['qualifies'][stable].mean():.0%}",
            *(f"{1.0 - column['qualifies'][of[drift]].mean():.0%}" for drift in DRIFTS[1:]),
            f"{np.nanstd(column['z'][stable]):.2f}",
            f"{np.nanmean(column['seen'][of[DRIFTS[-1]]]):.2f}",
            f"{column['published within'][stable].mean():.0%}",
        ]
        click.echo(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
