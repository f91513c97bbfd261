"""Which revision of a day is folded, and what becomes of answers that come too late for it."""

from datetime import date, timedelta

import pytest

from calibration_pipeline.records import CalibrationState
from calibration_pipeline.store.late_answers import LateDay
from calibration_pipeline_tests.programme import (
    ANSWERS_A_DAY,
    FIRST,
    LAST,
    NIGHTS,
    PLAN,
    POLICY,
    Programme,
)


def folded(state: CalibrationState) -> list[tuple[date, int]]:
    return [(day, revision) for day, revision, _ in state.folded]


def newest_revision(programme: Programme, day: date) -> int:
    return programme.store().archived_days([day])[day].revision


def test_a_late_answer_before_the_fold_is_folded_once(calibrated_copy: Programme) -> None:
    programme, leaving = calibrated_copy, NIGHTS[-POLICY.window_days]
    tonight, next_night = LAST + timedelta(days=1), LAST + timedelta(days=2)
    programme.log_like("late", leaving)
    programme.nights(tonight, next_night)
    assert folded(programme.state(tonight)) == [(leaving, 2)]
    assert folded(programme.state(next_night)) == [(leaving + timedelta(days=1), 1)]
    for night in (tonight, next_night):
        state = programme.state(night)
        assert state.total_counts.sum() == len(NIGHTS) * ANSWERS_A_DAY + PLAN.answers
        assert programme.store().late_answers(night + timedelta(days=1)) == ()


def test_after_missed_nights_corrected_days_are_folded_as_they_stand_by_then(
    calibrated_copy: Programme,
) -> None:
    """None of them is in tonight's window any more: they must be looked at all the same."""
    programme, tonight = calibrated_copy, LAST + timedelta(days=POLICY.window_days)
    late, corrected = NIGHTS[-POLICY.window_days], NIGHTS[-2]
    programme.log_like("late", late)
    programme.execute(
        "UPDATE calibration.response_log SET score = 1 - score WHERE session_id = :session",
        session=f"s{corrected:%Y%m%d}-00001",
    )
    programme.run(tonight)
    state = programme.state(tonight)
    expected = dict.fromkeys(NIGHTS[-POLICY.window_days :], 1) | {late: 2, corrected: 2}
    assert folded(state) == sorted(expected.items())
    assert state.total_counts.sum() == len(NIGHTS) * ANSWERS_A_DAY + PLAN.answers


def test_a_late_answer_after_the_fold_is_counted_once_and_not_folded(
    calibrated: Programme, calibrated_copy: Programme
) -> None:
    programme = calibrated_copy
    assert calibrated.materializations("responses")[str(LAST)]["late answers to folded days"] == 0
    programme.log_like("late", FIRST)
    tonight, next_night = LAST + timedelta(days=1), LAST + timedelta(days=2)
    for night in (tonight, next_night):
        assert programme.night(night).counts["late_answers"] == PLAN.answers
        state = programme.state(night)
        assert state.total_counts.sum() == len(NIGHTS) * ANSWERS_A_DAY
        assert FIRST not in dict(folded(state))
        assert programme.materializations("night_outcome")[str(night)]["late answers"] == (
            PLAN.answers
        )
        shown = programme.materializations("responses")[str(night)]
        assert shown["late answers to folded days"] == PLAN.answers
        assert f"| {FIRST} | {PLAN.answers} |" in shown["late answers by day"]
        page = (programme.settings.home / "reports" / f"{night}.html").read_text()
        assert f"{PLAN.answers} answers to a day ({FIRST}) that had been folded in" in page
    assert programme.store().late_answers(next_night) == (LateDay(FIRST, PLAN.answers),)
    assert newest_revision(programme, FIRST) == 2


def test_a_re_run_folds_the_revisions_that_it_folded_before_unless_told(
    calibrated_copy: Programme,
) -> None:
    programme = calibrated_copy
    night, day = NIGHTS[POLICY.window_days], FIRST
    first = programme.state(night)
    assert folded(first) == [(day, 1)]
    programme.log_like("late", day)
    programme.run(night)
    again = programme.state(night, 2)
    assert (newest_revision(programme, day), folded(again)) == (2, [(day, 1)])
    assert again.digest == first.digest
    next_night = night + timedelta(days=1)
    assert programme.store().late_answers(next_night) == (LateDay(day, PLAN.answers),)
    programme.run(night, refresh=True)
    assert folded(programme.state(night, 3)) == [(day, 2)]
    assert programme.store().late_answers(next_night) == ()


def hold_back_the_first_day(programme: Programme) -> None:
    first = {"day": f"s{FIRST:%Y%m%d}%"}
    programme.execute(
        "CREATE TABLE public.held AS SELECT * FROM calibration.response_log WHERE session_id LIKE"
        " :day",
        **first,
    )
    programme.execute("DELETE FROM calibration.response_log WHERE session_id LIKE :day", **first)


def log_the_first_day(programme: Programme) -> None:
    programme.execute(
        "INSERT INTO calibration.response_log OVERRIDING SYSTEM VALUE SELECT * FROM public.held"
    )


def test_a_re_run_folds_no_day_that_had_no_archive_then(programme: Programme) -> None:
    """Its answers came when it had left the window: they are late, whatever is run again."""
    hold_back_the_first_day(programme)
    night = NIGHTS[POLICY.window_days]
    programme.run(NIGHTS[1], night)
    assert programme.state(night).folded == ()
    log_the_first_day(programme)
    programme.run(night)
    assert newest_revision(programme, FIRST) == 1
    assert programme.state(night, 2).digest == programme.state(night, 1).digest
    late = programme.store().late_answers(night + timedelta(days=1))
    assert late == (LateDay(FIRST, ANSWERS_A_DAY),)


@pytest.mark.slow
def test_a_rebuilt_night_folds_a_day_that_only_the_night_before_it_has_read(
    programme: Programme,
) -> None:
    """Its answers are in the window that tonight starts from; left out, they would be lost."""
    hold_back_the_first_day(programme)
    night = NIGHTS[POLICY.window_days]
    programme.run(NIGHTS[1], night)
    log_the_first_day(programme)
    programme.run(night - timedelta(days=1), refresh=True)
    programme.run(night)
    again = programme.state(night, 2)
    assert folded(again) == [(FIRST, 1)]
    assert again.total_counts.sum() == (POLICY.window_days + 1) * ANSWERS_A_DAY


def test_a_rebuilt_night_folds_what_the_night_before_it_was_run_again_on(
    calibrated_copy: Programme,
) -> None:
    programme, day, night = calibrated_copy, FIRST, NIGHTS[POLICY.window_days]
    before = night - timedelta(days=1)
    programme.log_like("late", day)
    programme.run(before, refresh=True)
    assert programme.state(before, 2).window[0][:2] == (day, 2)
    programme.run(night)
    assert folded(programme.state(night)) == [(day, 2)]
    assert programme.store().late_answers(night + timedelta(days=1)) == ()


@pytest.mark.slow
def test_a_rebuilt_night_keeps_its_own_revisions_where_they_are_newer(
    calibrated_copy: Programme,
) -> None:
    """The night before it was run again, and on the answers that it had used then."""
    programme, day, night = calibrated_copy, NIGHTS[3], NIGHTS[5]
    programme.log_like("late", day)
    programme.run(night, refresh=True)
    refreshed = programme.state(night, 2)
    programme.run(NIGHTS[4], night)
    assert programme.state(NIGHTS[4], 2).digest == programme.state(NIGHTS[4], 1).digest
    assert programme.state(night, 3).digest == refreshed.digest
    assert (day, 2) in [(day, revision) for day, revision, _ in refreshed.window]


@pytest.mark.slow
def test_under_a_longer_window_a_re_run_reads_what_the_night_before_it_does(
    programme: Programme,
) -> None:
    short, night = programme.with_policy(window_days=2), NIGHTS[3]
    short.run(FIRST, night)
    assert folded(short.state(night)) == [(NIGHTS[1], 1)]
    for day in (FIRST, NIGHTS[1]):
        programme.log_like(f"late {day}", day)
    programme.run(NIGHTS[2])
    programme.run(night)
    again = programme.state(night, 2)
    read = [(day, revision) for day, revision, _ in again.window]
    assert (again.folded, read) == ((), [(day, 1) for day in NIGHTS[:4]])
    assert again.total_counts.sum() == 4 * ANSWERS_A_DAY


@pytest.mark.slow
def test_under_a_longer_window_a_first_night_reads_the_days_before_it_as_they_are_now(
    programme: Programme,
) -> None:
    """No night has read them yet, so there is no revision to repeat."""
    short, night = programme.with_policy(window_days=2), NIGHTS[3]
    short.run(night)
    with short.store() as store:
        store.extract_day(FIRST)
    for day in (FIRST, NIGHTS[2]):
        programme.log_like(f"late {day}", day)
    programme.run(night)
    read = [(day, revision) for day, revision, _ in programme.state(night, 2).window]
    assert read == [(FIRST, 2), *((day, 1) for day in NIGHTS[1:4])]
