"""What somebody has to look at first, and what is no alarm."""

from dataclasses import replace

import numpy as np

from calibration_pipeline.records import CalibrationState, Flag, ScaleLink, ScaleWatch
from calibration_pipeline.reports.alarms import alarms_of_night
from calibration_pipeline_tests.policy.states import make_scale, make_state
from calibration_pipeline_tests.simulated import draw_items, make_bank


def state() -> CalibrationState:
    return make_state(make_bank(4), draw_items(4, np.random.default_rng(0)))


def flag(item: str, reason: str, *, is_credible: bool = True) -> Flag:
    return Flag((item, 1), reason, 1.0, 0.0, 0.5, 4.0, is_credible, "why")


def test_a_quiet_night_has_none() -> None:
    drift = flag("a", "difficulty_drift")
    link = ScaleLink("main", "stocking-lord", 1.0, 0.0, 9, {}, True)
    quiet = ScaleWatch("main", 0.0, 0.1, None, 0.0, 0.0, 6.4, None, ())
    assert alarms_of_night(state(), [drift], [drift], [link], [quiet]) == ()
    chance = flag("a", "anchor_drift", is_credible=False)
    known = flag("b", "suspected_leak")
    assert alarms_of_night(state(), [chance, known], [], [link], [quiet]) == ()


def test_each_alarm_says_what_and_where() -> None:
    night = replace(
        state(),
        scales=(replace(make_scale(), converged=False),),
        is_contradicted=np.array([True, False, True, False]),
    )
    leaks = [flag(name, "suspected_leak") for name in "dcba"]
    link = ScaleLink("main", "stocking-lord", 1.4, 0.0, 9, {}, False)
    watch = ScaleWatch("main", 0.2, 0.1, None, 0.0, 0.0, 6.4, None, ("anchors moved",))
    assert alarms_of_night(night, [flag("x", "anchor_drift"), *leaks], leaks, [link], [watch]) == (
        "The estimation of scale main did not converge",
        "Linking constants of scale main lie outside their bounds",
        "Scale main: look at the anchors (anchors moved)",
        "4 items newly suspected of a leak: a@1, b@1, c@1, …",
        "1 anchor credibly off the reference",
        "2 items changed; what they carried no longer counts",
    )


def test_a_rejected_fit_has_changed_nothing() -> None:
    night = replace(state(), is_accepted=False, is_contradicted=np.ones(4, bool))
    assert alarms_of_night(night, [], [], [], []) == ()
