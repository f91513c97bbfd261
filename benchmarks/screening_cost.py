"""What the screening of a window costs: seconds of the processor and memory, by number of answers.

Screening is the step of a night that no cluster takes over. Answers are random, with times, and
come from candidates of whom a third return.
"""

import time
import tracemalloc
from datetime import date, timedelta
from typing import Any

import numpy as np

from benchmarks.cases import draw_pool
from calibration_pipeline.irt.model import FloatArray
from calibration_pipeline.irt.population import Population
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.population_groups import EVERYBODY
from calibration_pipeline.policy.screening import KnownScale, screen
from calibration_pipeline.records import DayResponses, DayRevision, ItemBank

ITEMS, DAYS, ANSWERS = 2400, 30, 30
LAST_DAY = date(2026, 3, 10)


def measure_screening(n_answers: int) -> dict[str, Any]:
    """Screen a window of about so many answers."""
    generator = np.random.default_rng(3)
    truth = draw_pool(ITEMS, generator)
    bank = _bank(truth)
    sessions = n_answers // (DAYS * ANSWERS)
    tracemalloc.start()
    days = [_day(bank, LAST_DAY - timedelta(days=age), sessions, generator) for age in range(DAYS)]
    held, _ = tracemalloc.get_traced_memory()
    known = KnownScale(truth, Population(), EVERYBODY)
    tracemalloc.reset_peak()
    # What is traced takes longer: once for the memory, once for the seconds.
    screen(days, bank, np.ones(ITEMS, np.bool_), CalibrationConfiguration(), known=known)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    started = time.process_time()
    found = screen(days, bank, np.ones(ITEMS, np.bool_), CalibrationConfiguration(), known=known)
    seconds = time.process_time() - started
    started = time.process_time()
    screen(days, bank, np.ones(ITEMS, np.bool_), CalibrationConfiguration())
    return {
        "responses": found.data.n_responses,
        "processor_seconds": seconds,
        "without_person_fit_seconds": time.process_time() - started,
        "days_bytes": held,
        "peak_bytes": peak,
    }


def _bank(truth: FloatArray) -> ItemBank:
    n_items = len(truth)
    return ItemBank(
        keys=tuple((f"i{j:05d}", 1) for j in range(n_items)),
        scale_names=("main",),
        scale_models=("3PL",),
        scale_index=np.zeros(n_items, np.int64),
        parameters=truth,
        author_difficulty=np.full(n_items, np.nan),
        content_families=(None,) * n_items,
        option_counts=np.zeros(n_items, np.int64),
        is_retired=np.zeros(n_items, np.bool_),
        digest="",
    )


def _day(
    bank: ItemBank, day: date, n_sessions: int, generator: np.random.Generator
) -> DayResponses:
    n = n_sessions * ANSWERS
    people = np.zeros((n_sessions, 2), np.uint64)
    people[:, 0] = 1 + generator.integers(0, DAYS * n_sessions, n_sessions)
    return DayResponses(
        revision=DayRevision(day, 1, "", n, n_sessions, {}),
        keys=bank.keys,
        session_offsets=np.arange(0, n + 1, ANSWERS),
        item=generator.integers(0, bank.n_items, n, np.int32),
        correct=generator.integers(0, 2, n, np.uint8),
        session_pseudonyms=people.view("V16").reshape(-1),
        candidate_pseudonyms=people.view("V16").reshape(-1),
        time_on_task_ms=generator.integers(2_000, 90_000, n, np.int32),
    )
