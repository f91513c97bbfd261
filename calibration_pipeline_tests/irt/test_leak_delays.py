"""Expected delays: against simulation, and honest where there is no detection."""

from dataclasses import replace

import numpy as np

from calibration_pipeline.irt.leak_delays import ItemTakers, expected_delays
from calibration_pipeline.irt.leak_detection import DetectorState, advance
from calibration_pipeline.irt.leak_model import LeakModel
from calibration_pipeline.irt.leak_thresholds import alarm_thresholds
from calibration_pipeline_tests.irt.leak_items import draw_answers, estimated_items

MODEL = LeakModel()


def _takers(knowledge):
    n = len(knowledge.time_mean)
    return ItemTakers(
        knowledge.parameters[:, 1] + 0.2,
        np.full(n, 0.5),
        np.full(n, 0.35),
        np.full(n, 0.15**2),
    )


def test_the_expected_delay_is_on_the_safe_side_of_simulated_ones():
    generator = np.random.default_rng(8)
    truth, knowledge = estimated_items(250, generator, timed=True)
    thresholds = alarm_thresholds(MODEL, np.full(250, 7e5), np.full(250, True))
    answers = draw_answers(truth, 300, 0.5, generator, timed=True)
    _, alarm = advance(DetectorState.at_zero(250, MODEL), 0, answers, knowledge, thresholds, MODEL)
    delays = expected_delays(
        knowledge, _takers(knowledge), 0.5, thresholds, np.full(250, 1e4), MODEL
    )
    simulated = np.median(np.where(alarm >= 0, alarm + 1.0, np.inf))
    assert 0.95 < np.median(delays) / simulated < 1.45


def test_what_accuracy_cannot_tell_is_never_found():
    generator = np.random.default_rng(8)
    _, knowledge = estimated_items(50, generator, timed=False)
    thresholds = alarm_thresholds(MODEL, np.full(50, 7e5), np.full(50, False))
    arguments = (thresholds, np.full(50, 5000.0), MODEL)
    a_tenth = expected_delays(knowledge, _takers(knowledge), 0.1, *arguments)
    most = expected_delays(knowledge, _takers(knowledge), 0.9, *arguments)
    assert np.isinf(a_tenth).mean() > 0.9
    assert np.isfinite(most).mean() > 0.7
    nothing = replace(knowledge, parameters=np.full((50, 3), np.nan))
    assert np.isinf(expected_delays(nothing, _takers(knowledge), 0.9, *arguments)).all()
    no_traffic = (thresholds, np.zeros(50), MODEL)
    assert np.isinf(expected_delays(knowledge, _takers(knowledge), 0.9, *no_traffic)).all()
