"""What is odd about the answers is in a night's metadata, in Dagster's log and in the run log."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from calibration_pipeline.store.rows_ahead import rows_ahead
from calibration_pipeline.store.sources.choosing import choose_source
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline_tests.programme import FIRST, NIGHTS, Programme

_AHEAD = "now() + interval '40 days'"


def test_a_night_tells_of_a_bad_day_in_its_window_and_of_rows_ahead(programme: Programme) -> None:
    programme.execute(
        "UPDATE calibration.response_log SET score = 7 WHERE session_id LIKE :day AND position = 3",
        day=f"s{FIRST:%Y%m%d}-%",
    )
    answers = programme.log_like("ahead", FIRST, answered_at=_AHEAD, session_started_at=_AHEAD)
    first, second = programme.nights(FIRST, NIGHTS[1])
    assert (first.outcome, second.outcome) == ("rejected", "completed")
    told = programme.materializations("responses")
    bad, ahead = told[str(NIGHTS[1])]["worth a look"].split("; the source holds ")
    assert f"60 of 900 rows of {FIRST} are bad (6.7%; at most 1.0%)" in bad
    assert ahead.startswith(f"{answers} rows of days that are yet to come")
    assert "are bad" not in told[str(FIRST)]["worth a look"]  # of its own day the verdict tells
    assert bad in second.reason
    assert "60 of 900 rows" in first.reason
    assert "yet to come" not in first.reason
    messages = [
        event.user_message
        for run in programme.instance.get_runs()
        for event in programme.instance.all_logs(run.run_id)
        if event.level >= 30
    ]
    assert any(bad in message for message in messages)


def test_rows_ahead_are_counted_the_same_elsewhere(programme: Programme) -> None:
    today = datetime.now(UTC).date()
    store = programme.store()
    assert rows_ahead(programme.engine, today, store.timezone) == 0
    answers = programme.log_like("ahead", FIRST, answered_at=_AHEAD, session_started_at=_AHEAD)
    with programme.engine.begin() as connection:
        connection.execute(
            sa.text(
                "CREATE VIEW student_attempts AS SELECT candidate_id AS student_id, item_id, "
                "score = 1 AS correct, answered_at AS created_at FROM calibration.response_log"
            )
        )
    elsewhere = choose_source(SourceConfiguration("student_attempts"), programme.settings.home)
    for days, found in ((0, answers), (38, answers), (42, 0)):
        day = today + timedelta(days=days)
        assert rows_ahead(programme.engine, day, store.timezone) == found
        assert rows_ahead(programme.engine, day, store.timezone, elsewhere) == found
