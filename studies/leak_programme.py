"""A small programme with leaks, watched night by night, for `studies/leaks.py`.

Everything that the detector needs is estimated from the answers: abilities from the session's other
answers under erroneous parameters, speeds, and the items' usual times.
"""

from datetime import date, timedelta

import numpy as np

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.leak_abilities import abilities_from_other_answers
from calibration_pipeline.irt.model import FloatArray
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.policy.leak_configuration import LeakConfiguration
from calibration_pipeline.policy.leaks import LeakDay, LeakState, watch_day
from studies.leak_worlds import SUCCESS, TIME_FACTOR, TIME_SD, Pool, World, draw_pool

ITEMS, SESSIONS, ANSWERS = 300, 700, 30
"""A session has 30 answers; 70 a day fall to each item."""
LEAKED_ITEMS, LEAKED_SHARE = 15, 0.5
HEALTHY_DAYS, LEAK_DAYS = 12, 6
SPEED_SPREAD, ITEM_TIME_SPREAD = 0.3, 0.4
FIRST_DAY = date(2026, 1, 1)
TIMED = World(is_timed=True, is_known=False, is_targeted=True)


def draw_day(
    pool: Pool, usual_times: FloatArray, is_leaked: np.ndarray, generator: np.random.Generator
) -> tuple[ResponseData, FloatArray]:
    """One day's sessions, and the seconds that each answer took.

    Items are drawn near the candidate's ability, from a ranking with noise.
    """
    theta = generator.normal(size=SESSIONS)
    distance = np.abs(pool.knowledge.parameters[:, 1] - theta[:, None])
    # Random keys with the distance's weight: an exponential race gives 30 different items.
    keys = generator.exponential(size=distance.shape) * np.exp(1.2 * distance)
    item = np.argpartition(keys, ANSWERS, axis=1)[:, :ANSWERS].astype(np.int32)
    a, b, c = pool.truth[item].transpose(2, 0, 1)
    knows = is_leaked[item] & (generator.random(item.shape) < LEAKED_SHARE)
    right = np.where(knows, SUCCESS, c + (1 - c) / (1 + np.exp(-a * (theta[:, None] - b))))
    correct = (generator.random(item.shape) < right).astype(np.uint8)
    speed = generator.normal(0.0, SPEED_SPREAD, (SESSIONS, 1))
    log_seconds = usual_times[item] - speed + generator.normal(0.0, TIME_SD, item.shape)
    log_seconds += np.where(knows, np.log(TIME_FACTOR), 0.0)
    offsets = np.arange(SESSIONS + 1) * ANSWERS
    return (
        ResponseData(offsets, item.ravel(), correct.ravel(), ITEMS),
        np.exp(log_seconds).ravel(),
    )


def run_programme(generator: np.random.Generator, uses_times: bool) -> tuple[FloatArray, int, int]:
    """Days from the leak until each leaked item's alarm, false alarms, and healthy item-nights."""
    pool = draw_pool(TIMED, ITEMS, generator)
    usual_times = generator.normal(4.0, ITEM_TIME_SPREAD, ITEMS)
    leaked = np.zeros(ITEMS, bool)
    leaked[generator.choice(ITEMS, LEAKED_ITEMS, replace=False)] = True
    configuration = LeakConfiguration(uses_times=uses_times)
    state = LeakState.empty(ITEMS, configuration)
    estimate = pool.knowledge
    nobody = np.zeros(ITEMS, bool)
    for number in range(HEALTHY_DAYS + LEAK_DAYS):
        data, seconds = draw_day(
            pool, usual_times, leaked if number >= HEALTHY_DAYS else nobody, generator
        )
        mean, sd = abilities_from_other_answers(
            data, estimate.parameters, Population(), EMConfiguration()
        )
        day = LeakDay(
            FIRST_DAY + timedelta(days=number), data.session_offsets, data.item, data.correct,
            np.ones(data.n_responses, bool), mean, sd, seconds,
        )  # fmt: skip
        state = watch_day(state, day, estimate.parameters, estimate.covariance, configuration)
        if number == HEALTHY_DAYS - 1:
            leak_begins = (FIRST_DAY - date(1970, 1, 1)).days + HEALTHY_DAYS
            before = state.detectors.is_alarmed
    alarmed = state.detectors.alarm_day
    days = np.where(alarmed >= leak_begins, alarmed - leak_begins + 1.0, np.inf)
    false_alarms = int(before.sum() + (state.detectors.is_alarmed & ~before & ~leaked).sum())
    healthy = ITEMS * HEALTHY_DAYS + (ITEMS - LEAKED_ITEMS) * LEAK_DAYS
    return days[leaked & ~before], false_alarms, healthy


def detection_in_sessions(runs: int, seed: int) -> str:
    """Share of leaks found within two days, and false alarms, with times and without."""
    lines = []
    for uses_times in (True, False):
        generator = np.random.default_rng(seed)
        results = [run_programme(generator, uses_times) for _ in range(runs)]
        days = np.concatenate([result[0] for result in results])
        false_alarms, nights = (sum(result[k] for result in results) for k in (1, 2))
        lines.append(
            f"{'times' if uses_times else 'accuracy'}: {np.mean(days <= 2):.1%} of {len(days)} "
            f"leaks within 2 days; {false_alarms} false alarms in {nights} item-nights"
        )
    return "\n".join(lines)
