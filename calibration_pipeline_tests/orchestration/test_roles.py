"""The chain under the database roles that operators give it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from calibration_pipeline.errors import MissingPrivilegeError
from calibration_pipeline.records import NightAcceptance
from calibration_pipeline.store.acceptances import record_acceptance
from calibration_pipeline.store.aliases import promote
from calibration_pipeline.store.bank import record_decision
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.forgetting import Forgetting
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.privileges import ADMINISTRATOR, PIPELINE, READER
from calibration_pipeline.store.publication_switch import freeze, thaw
from calibration_pipeline.store.response_log import import_responses
from calibration_pipeline.store.retention import delete_expired
from calibration_pipeline_tests.database import fresh_database
from calibration_pipeline_tests.programme import (
    FIRST,
    LAST,
    NIGHTS,
    Programme,
    programme_on,
)
from calibration_pipeline_tests.store.roles import log_in_as


@pytest.fixture
def as_pipeline(
    embedded_server: EmbeddedServer, loaded_template: str, tmp_path: Path
) -> Iterator[Programme]:
    with fresh_database(embedded_server, template_url=loaded_template) as url:
        log_in_as(url, PIPELINE)
        programme = programme_on(url, tmp_path / "home")
        yield programme
        programme.close()


def test_nights_run_under_the_pipelines_role(as_pipeline: Programme) -> None:
    """With all that a night does: extraction, late answers, state, draft, version, abilities."""
    first, second = as_pipeline.nights(FIRST, NIGHTS[1])
    assert (first.outcome, second.outcome) == ("completed", "completed")
    as_pipeline.night(NIGHTS[1], refresh=True)
    assert as_pipeline.scalar("SELECT current_user") == PIPELINE
    assert as_pipeline.scalar("SELECT version FROM calibration.aliases") is not None
    assert as_pipeline.scalar("SELECT count(*) FROM calibration.candidate_abilities") > 0


def test_a_night_under_another_role_says_which_one_it_needs(
    embedded_server: EmbeddedServer, loaded_template: str, tmp_path: Path
) -> None:
    with fresh_database(embedded_server, template_url=loaded_template) as url:
        log_in_as(url, READER)
        programme = programme_on(url, tmp_path / "home")
        with pytest.raises(MissingPrivilegeError, match=f"the role {PIPELINE}"):
            programme.store().__enter__()
        programme.close()


@pytest.fixture
def as_administrator(calibrated_copy: Programme) -> Programme:
    return under(calibrated_copy, ADMINISTRATOR)


def under(programme: Programme, role: str) -> Programme:
    """The same programme, by a login with one role alone."""
    assert programme.settings.database_url is not None
    programme.engine.dispose()
    log_in_as(programme.settings.database_url.get_secret_value(), role)
    assert programme.scalar("SELECT current_user") == role
    return programme


def test_retention_runs_under_the_pipelines_role(calibrated_copy: Programme) -> None:
    """It is scheduled, so Dagster's login does it."""
    programme = under(calibrated_copy, PIPELINE)
    with programme.store() as store:
        expired = store.delete_expired(NIGHTS[2])
    assert min(expired.answers, expired.abilities, expired.archived_revisions) > 0


def test_people_decide_under_the_administrators_role(
    as_administrator: Programme, tmp_path: Path
) -> None:
    engine, store = as_administrator.engine, as_administrator.store()
    answers = tmp_path / "answers.csv"
    answers.write_text(
        "session_id,candidate_id,item_id,is_correct,answered_at\n"
        f"new,new,{store.bank(LAST).keys[0][0]},1,2025-04-03T08:00:00Z\n"
    )
    assert import_responses(engine, answers, lambda _done, _total: None).responses == 1
    record_decision(
        engine,
        store.bank(LAST).keys[0],
        "retire",
        effective_from=LAST,
        reason="out of date",
        decided_by="a test",
    )
    assert freeze(engine, decided_by="a test", reason="an exam is on")
    assert promote(engine, 3, moved_by="a test", reason="version 8 looks odd") is not None
    assert thaw(engine, decided_by="a test", reason="over")
    record_acceptance(engine, NightAcceptance(LAST, "digest", "looked at it", "a test"))
    candidate = as_administrator.scalar("SELECT min(candidate_id) FROM calibration.response_log")
    forgetting = Forgetting(
        engine, store.archive, store.pseudonym_key, tmp_path / "forgotten", "a test"
    )
    assert forgetting.forget(candidate, erase=False).links == 1
    assert forgetting.forget(candidate, erase=True).archived_days > 0
    with CalibrationLock(engine, "calibrate retention") as lock:
        assert delete_expired(lock, store.archive, NIGHTS[2], store.timezone).answers > 0


def test_a_night_and_a_decision_need_two_roles(as_administrator: Programme) -> None:
    with (
        pytest.raises(MissingPrivilegeError, match=f"the role {PIPELINE}"),
        as_administrator.store() as store,
    ):
        store.run_of(LAST)
