"""How soon leaks are found at full size: the study of docs/leaks.md, held to its promises."""

import numpy as np
import pytest

from studies.leak_worlds import World
from studies.leaks import (
    ANSWERS_PER_FALSE_ALARM,
    ANSWERS_PER_NIGHT,
    NIGHTS_PER_FALSE_ALARM,
    SHARES,
    answers_until_alarm,
    false_alarms_by_night,
)

KNOWN_MEDIANS = {
    False: {0.2: 430, 0.3: 252, 0.5: 139, 0.8: 83},
    True: {0.2: 101, 0.3: 60, 0.5: 34, 0.8: 20},
}
"""Without times and with them: of a likelihood-ratio CUSUM for a single share, measured apart from
this project on items and candidates of its own, at the same rate of false alarms."""
NIGHTLY = float(NIGHTS_PER_FALSE_ALARM * ANSWERS_PER_NIGHT)


@pytest.mark.slow
@pytest.mark.parametrize("is_timed", [False, True])
def test_with_known_parameters_leaks_are_found_in_no_more_answers_than_a_plain_cusum_takes(
    is_timed: bool,
):
    world = World(is_timed=is_timed, is_known=True, is_targeted=False)
    rate = float(ANSWERS_PER_FALSE_ALARM)
    for share, answers in SHARES.items():
        delays = answers_until_alarm(world, rate, 3000, answers, share, seed=2)
        assert np.median(delays) <= KNOWN_MEDIANS[is_timed][share], share
    accused = np.isfinite(answers_until_alarm(world, rate, 8000, 1000, 0.0, seed=1)).mean()
    assert 0.006 < accused < 0.0125


@pytest.mark.slow
def test_an_item_with_70_answers_a_day_leaked_to_half_the_candidates_is_found_within_48_hours():
    """Parameters estimated, times logged, one false alarm in 10,000 item-nights."""
    world = World(is_timed=True, is_known=False, is_targeted=True)
    delays = answers_until_alarm(world, NIGHTLY, 500, 1500, 0.5, seed=3)
    assert np.mean(delays <= 2 * ANSWERS_PER_NIGHT) >= 0.95
    # Three expected; ten or more would come once in a thousand.
    assert false_alarms_by_night(world, 30_000, 30, seed=4) < 10
