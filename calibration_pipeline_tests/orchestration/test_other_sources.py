"""Whole nights on answers that are somewhere else: the same results, and no secret anywhere."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from calibration_pipeline.definitions import dry_run_definitions, open_dry_run_store
from calibration_pipeline.errors import SourceError, SourceUnavailableError
from calibration_pipeline.orchestration.dry_run import rehearse_nights
from calibration_pipeline.orchestration.retries import is_passing
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline_tests.database import fresh_database
from calibration_pipeline_tests.programme import ANSWERS_A_DAY, FIRST, NIGHTS, Programme

SECRET = "hunter2-of-the-source"  # noqa: S105 - what is looked for


def with_secret(url: str) -> str:
    """A URL with a password; the tests' server lets the account in by its socket alone."""
    return make_url(url).set(password=SECRET).render_as_string(hide_password=False)


@pytest.fixture
def elsewhere(embedded_server: EmbeddedServer, loaded_template: str) -> Iterator[sa.Engine]:
    """Another database with the programme's answers; its own pipeline is not used."""
    with fresh_database(embedded_server, template_url=loaded_template) as url:
        engine = open_engine(with_secret(url))
        yield engine
        engine.dispose()


def reading(programme: Programme, elsewhere: sa.Engine, **source: Any) -> Programme:
    """The programme, its own log emptied, on the answers of another database."""
    programme.execute("DELETE FROM calibration.response_log")
    url = elsewhere.url.render_as_string(hide_password=False)
    configuration = SourceConfiguration(**{"database_url": url, **source})
    return replace(
        programme, settings=programme.settings.model_copy(update={"source": configuration})
    )


AS_ATTEMPTS = """
CREATE SCHEMA app;
CREATE VIEW app.v_attempt AS
SELECT candidate_id AS learner, item_id, score = 1 AS correct, answered_at AS completed_at,
       session_id, session_started_at AS began, position AS place, time_on_task_ms, option_selected,
       theta_at_presentation, population_group, engine_version, content_version
FROM calibration.response_log
"""
NAMES = {
    "attempt": "app.v_attempt",
    "attempt.student_id": "learner",
    "attempt.session_id": "session_id",
    "attempt.session_started_at": "began",
    "attempt.position": "place",
    **{
        f"attempt.{name}": name
        for name in (
            "time_on_task_ms",
            "option_selected",
            "theta_at_presentation",
            "population_group",
            "engine_version",
            "content_version",
        )
    },
}


@pytest.mark.parametrize("kind", ["response_log", "attempt"])
def test_the_same_answers_from_elsewhere_give_the_same_nights(
    programme: Programme, calibrated: Programme, elsewhere: sa.Engine, kind: str
) -> None:
    if kind == "attempt":
        with elsewhere.begin() as connection:
            connection.execute(sa.text(AS_ATTEMPTS))
    names = NAMES if kind == "attempt" else {}
    own = reading(programme, elsewhere, kind=kind, names=names)
    foretold = _rehearsed(own)
    assert [outcome.outcome for outcome in own.nights(FIRST, NIGHTS[1])] == ["completed"] * 2
    for night in NIGHTS[:2]:
        assert own.state(night).digest == calibrated.state(night).digest == foretold[night]
    assert list((own.settings.home / "scratch").iterdir()) == []


def _rehearsed(programme: Programme) -> dict[Any, str]:
    store = open_dry_run_store(programme.settings)
    definitions = dry_run_definitions(programme.settings, store)
    nights = rehearse_nights(definitions, store, FIRST, NIGHTS[1])
    return {n.outcome.partition: n.state.digest for n in nights if n.state}


def test_no_secret_of_the_source_is_told(
    programme: Programme, elsewhere: sa.Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither by a night that works, on its third choice of tables, nor by one that can't."""
    with elsewhere.begin() as connection:
        connection.execute(
            sa.text(
                "CREATE TABLE exam_results AS SELECT session_id AS id, candidate_id AS user_id, "
                "max(answered_at) AS updated_at, jsonb_build_object('questions', jsonb_agg("
                "jsonb_build_object('question_id', item_id, 'is_correct', score = 1, "
                "'responded_at', answered_at))) AS result FROM calibration.response_log "
                "GROUP BY session_id, candidate_id"
            )
        )
    own = reading(programme, elsewhere, kind="attempt")
    assert own.night(FIRST).counts["responses"] == ANSWERS_A_DAY
    own.run(FIRST)
    said = _told(own)
    assert "attempt can't be read" in said
    assert "reading exam_results instead" in said
    unreachable = elsewhere.url.set(query={}, host="127.0.0.1", port=1, username="me")
    down = reading(own, elsewhere, database_url=unreachable.render_as_string(hide_password=False))
    with pytest.raises(SourceUnavailableError, match="CALIBRATION_SOURCE__DATABASE_URL") as refusal:
        down.run(NIGHTS[1])
    lost = reading(own, elsewhere, kind="practice")
    with pytest.raises(SourceError, match="practice_response"):
        lost.run(NIGHTS[1])
    written = capfd.readouterr()
    for text in (str(refusal.value), _told(own), written.out, written.err):
        assert SECRET not in text
    assert "\n" not in str(refusal.value)


def _told(programme: Programme) -> str:
    """All that Dagster and the store keep of runs, and every file of text in the home folder."""
    parts = [repr(run.run_config) + repr(run.tags) for run in programme.instance.get_runs()]
    for run in programme.instance.get_runs():
        parts += [
            dg.serialize_value(entry.dagster_event) + entry.user_message
            if entry.dagster_event
            else entry.user_message
            for entry in programme.instance.all_logs(run.run_id)
        ]
    with programme.engine.connect() as connection:
        names = connection.scalars(
            sa.text("SELECT tablename FROM pg_tables WHERE schemaname = 'calibration'")
        ).all()
        for name in names:
            rows = connection.execute(sa.text(f"SELECT t::text FROM calibration.{name} t"))  # noqa: S608
            parts += [row[0] for row in rows]
    for path in programme.settings.home.rglob("*"):
        if path.is_file():
            parts.append(path.read_bytes().decode("utf-8", "replace"))
    return json.dumps(parts, ensure_ascii=False)


def test_a_source_that_is_down_is_tried_again_and_records_nothing(
    programme: Programme, elsewhere: sa.Engine
) -> None:
    own = reading(programme, elsewhere)
    broken = reading(own, elsewhere, database_url="postgresql://me:pw@127.0.0.1:1/answers")
    with pytest.raises(SourceUnavailableError) as refusal:
        broken.run(FIRST)
    assert is_passing(refusal.value)
    assert own.scalar("SELECT count(*) FROM calibration.archive_revisions") == 0
    assert own.night(FIRST).counts["responses"] == ANSWERS_A_DAY
