from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.verdicts import judge_fit, too_many_bad_rows
from calibration_pipeline.records import DayRevision
from calibration_pipeline_tests.policy.states import make_scale, make_state
from calibration_pipeline_tests.simulated import draw_items, make_bank

SETTINGS = CalibrationConfiguration()
BANK = make_bank(10)
TRUTH = draw_items(10, np.random.default_rng(0))
STATE = make_state(BANK, TRUTH)


def judge(state, parent):
    return judge_fit(state, parent, BANK.scale_index, SETTINGS)


def test_nothing_to_complain_about_is_accepted():
    judged = judge(replace(STATE, is_accepted=False), STATE)
    assert judged.is_accepted
    assert judged.reasons == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"converged": False, "cycles": 100}, "not converged after 100 cycles"),
        ({"population_mean": 3.5}, "population mean 3.500"),
        ({"population_mean": float("nan")}, "population mean nan"),
        ({"population_sd": 0.1}, "population sd 0.100"),
        ({"population_sd": 6.0}, "population sd 6.000"),
        ({"linking_slope": 1.5}, "linking slope 1.500"),
        ({"linking_intercept": -0.4}, "linking intercept -0.400"),
    ],
)
def test_a_scale_outside_its_bounds_rejects_the_night(change, reason):
    state = replace(STATE, scales=(replace(make_scale("main"), **change),))
    judged = judge(state, None)
    assert not judged.is_accepted
    assert len(judged.reasons) == 1
    assert reason in judged.reasons[0]
    assert "scale main" in judged.reasons[0]


def test_every_reason_is_given():
    bad = replace(make_scale(), converged=False, population_sd=9.0, linking_slope=2.0)
    assert len(judge(replace(STATE, scales=(bad,)), None).reasons) == 3


def test_a_scale_that_was_not_fitted_is_not_judged():
    idle = replace(make_scale(), fitted=False, population_sd=99.0)
    assert judge(replace(STATE, scales=(idle,)), None).is_accepted


@pytest.mark.parametrize("field", ["parameters", "covariance"])
def test_estimates_that_are_not_finite_reject_the_night(field):
    values = getattr(STATE, field).copy()
    values[3] = np.nan
    judged = judge(replace(STATE, **{field: values}), STATE)
    assert judged.reasons == ("estimates that are not finite (1 items)",)


def shifted(items: int, shift: float = 0.5, new_answers: int = 10):
    parameters = TRUTH.copy()
    parameters[:items, 1] += shift
    counts = STATE.total_counts + new_answers
    return replace(STATE, parameters=parameters, total_counts=counts)


def test_too_many_credible_movements_reject_the_night():
    judged = judge(shifted(3), STATE)
    assert not judged.is_accepted
    assert "3 of 10 difficulties moved credibly" in judged.reasons[0]


def test_movement_under_another_anchor_set_is_no_reason():
    """All difficulties move with a scale that is restated."""
    assert not judge(shifted(10), STATE).is_accepted
    assert judge(replace(shifted(10), anchor_digest="another"), STATE).is_accepted


def test_a_few_items_may_move():
    assert judge(shifted(2), STATE).is_accepted


def test_movement_that_new_answers_explain_is_no_reason():
    assert judge(shifted(9, shift=0.16, new_answers=400), STATE).is_accepted


def test_movement_of_items_with_few_answers_is_no_reason():
    few = replace(shifted(9), window_counts=np.full(10, 24))
    assert judge(few, STATE).is_accepted


def revision(rows: int, **quarantined: int) -> DayRevision:
    return DayRevision(date(2026, 5, 1), 1, "", rows, 10, quarantined)


def test_a_day_may_hold_a_hundredth_of_bad_rows():
    assert too_many_bad_rows(revision(990, unknown_item=10), SETTINGS) == ""
    assert too_many_bad_rows(revision(0), SETTINGS) == ""
    said = too_many_bad_rows(revision(980, unknown_item=15, null_score=5), SETTINGS)
    assert "20 of 1000 rows of 2026-05-01" in said
    assert "2.0%" in said


def test_a_bad_day_names_its_worst_reason_and_where_to_look():
    said = too_many_bad_rows(
        revision(900, null_score=5, unknown_item=15, session_incomplete=80), SETTINGS
    )
    assert "15 of them as unknown_item" in said
    assert "`calibrate quarantine --day 2026-05-01`" in said
    assert "--refresh" in said


def test_good_rows_of_a_session_left_out_are_not_bad():
    assert too_many_bad_rows(revision(900, session_incomplete=95, duplicate=5), SETTINGS) == ""


def test_a_file_logged_twice_does_not_make_a_day_bad():
    assert too_many_bad_rows(revision(480, duplicate=480), SETTINGS) == ""


def contradicted(changed: int, compared: int, n_items: int = 60):
    """Half of the items belong to a second scale, where nothing changes."""
    bank = make_bank(
        n_items, scales={"one": "3PL", "two": "3PL"}, scale_index=[0, 1] * (n_items // 2)
    )
    state = make_state(bank, draw_items(n_items, np.random.default_rng(0)))
    of_first = np.flatnonzero(bank.scale_index == 0)
    shift, is_contradicted = np.full(n_items, np.nan), np.zeros(n_items, bool)
    shift[of_first[:compared]] = 0.5
    shift[bank.scale_index == 1] = 0.0
    is_contradicted[of_first[:changed]] = True
    changing = replace(state, carried_shift=shift, is_contradicted=is_contradicted)
    return judge_fit(changing, state, bank.scale_index, SETTINGS)


def test_items_change_one_by_one_not_together():
    """At most a fifth of a scale's items that carry something."""
    assert contradicted(6, 30).is_accepted
    judged = contradicted(7, 30)
    assert not judged.is_accepted
    assert "scale one: the window contradicts what 7 of 30 items carry (23%" in judged.reasons[0]
    assert not contradicted(6, 20).is_accepted


def test_a_few_items_may_change_however_small_their_scale():
    assert contradicted(4, 4).is_accepted
    assert not contradicted(5, 5).is_accepted
