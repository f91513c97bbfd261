"""The calibration service's contract: what its document says, over real nights."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import (
    DatabaseUnavailableError,
    LockHeldError,
    NightBlockedError,
    SourceUnavailableError,
)
from calibration_pipeline.interfaces.api import contract_services
from calibration_pipeline.interfaces.api.errors import ApiError
from calibration_pipeline.interfaces.api.irt_contract import policy_of
from calibration_pipeline.interfaces.api.irt_contract_result import answer_of_run
from calibration_pipeline.interfaces.api.irt_contract_run import CalibrationCrashedError, NightRuns
from calibration_pipeline.interfaces.api.irt_contract_schemas import (
    IrtCalibrationRequest,
    IrtCalibrationResponse,
)
from calibration_pipeline.records import Role
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.snapshots import current_version, read_snapshot_items
from calibration_pipeline_tests.interfaces.api.service import Answer, Service, serving
from calibration_pipeline_tests.processes import PATIENCE_SECONDS, PROJECT
from calibration_pipeline_tests.programme import FIRST, LAST, Programme, environment_of

PARAMETERS = {
    "item_id", "a", "b", "c", "a_se", "b_se", "c_se", "infit_mnsq", "outfit_mnsq", "is_flagged",
    "response_count", "calibrated_at", "calibration_run_id",
}  # fmt: skip
RESPONSE = {
    "calibration_run_id", "items_calibrated", "items_skipped", "items_flagged",
    "convergence_achieved", "iterations_used", "elapsed_seconds", "parameters", "skipped_items",
}  # fmt: skip


def answered(programme: Programme, **request: Any) -> IrtCalibrationResponse:
    """What a caller would have got of the last of the programme's runs."""
    run_id = programme.scalar(
        "SELECT orchestrator_run_id FROM calibration.runs ORDER BY started_at DESC LIMIT 1"
    )
    asked = IrtCalibrationRequest(**request)
    return answer_of_run(programme.engine, run_id, asked, programme.settings.policy, 1.5)


def item_of(programme: Programme, source: str) -> str:
    """An item of the version in force whose values come from there."""
    version = current_version(programme.engine)
    assert version is not None
    items = read_snapshot_items(programme.engine, version)
    return next(item.key[0] for item in items if item.source == source)


# GET /api/irt/parameters/{item_id}


def test_an_items_parameters_are_those_in_force(service: Service, calibrated: Programme) -> None:
    item_id = item_of(calibrated, "fitted")
    answer = service.get(f"/api/irt/parameters/{item_id}")
    assert answer.status == 200, answer.body
    assert answer.json.keys() == {"data", "error"}
    assert answer.json["error"] is None
    found = answer.json["data"]
    assert found.keys() == PARAMETERS
    version = current_version(calibrated.engine)
    assert version is not None
    items = {item.key[0]: item for item in read_snapshot_items(calibrated.engine, version)}
    published = items[item_id]
    assert (found["a"], found["b"], found["c"]) == (
        published.discrimination, published.difficulty, published.guessing,
    )  # fmt: skip
    assert found["b_se"] == published.difficulty_se
    assert found["response_count"] == published.window_count
    fits = found["infit_mnsq"], found["outfit_mnsq"]
    assert found["is_flagged"] == any(not 0.7 <= fit <= 1.3 for fit in fits)
    assert found["calibration_run_id"] == calibrated.scalar(
        "SELECT run_id::text FROM calibration.snapshots WHERE version = :v", v=version
    )


def test_values_that_stand_are_dated_by_the_night_that_found_them(
    service: Service, calibrated: Programme
) -> None:
    """An item with too few answers tonight: when, how many and how well are those of its fit."""
    item_id = item_of(calibrated, "carried")
    found = service.get(f"/api/irt/parameters/{item_id}").json["data"]
    with calibrated.engine.connect() as connection:
        newest = sa.text(
            "SELECT version, window_count FROM calibration.snapshot_items "
            "WHERE item_id = :item AND source = 'fitted' ORDER BY version DESC LIMIT 1"
        )
        version, count = connection.execute(newest, {"item": item_id}).one()
    assert version < (current_version(calibrated.engine) or 0)
    assert found["response_count"] == count >= 10
    assert found["calibration_run_id"] == calibrated.scalar(
        "SELECT run_id::text FROM calibration.snapshots WHERE version = :v", v=version
    )


def test_an_item_with_its_authors_values_has_none(service: Service, calibrated: Programme) -> None:
    answer = service.get(f"/api/irt/parameters/{item_of(calibrated, 'author')}")
    assert (answer.status, answer.code) == (404, "ITEM_NOT_FOUND")


@pytest.mark.parametrize("item_id", ["uuid-1", "x" * 200, "a%2Fb", "%F0%9F%8E%B2"])
def test_an_item_without_calibrated_parameters_is_not_found(service: Service, item_id: str) -> None:
    answer = service.get(f"/api/irt/parameters/{item_id}")
    assert (answer.status, answer.code) == (404, "ITEM_NOT_FOUND")


# POST /api/irt/calibrate


def test_what_is_left_out_has_the_documents_defaults() -> None:
    defaults = IrtCalibrationRequest()
    assert defaults.model_dump() == {
        "item_ids": None,
        "min_responses": 100,
        "max_iterations": 100,
        "convergence_threshold": 0.001,
    }


@pytest.mark.parametrize(
    "body",
    [
        {"min_responses": -1},
        {"min_responses": 0},
        {"min_responses": 10**30},
        {"min_responses": "many"},
        {"max_iterations": 0},
        {"max_iterations": 501},
        {"convergence_threshold": 1},
        {"convergence_threshold": 0},
        b'{"convergence_threshold": NaN}',
        b'{"convergence_threshold": 1e999}',
        {"item_ids": []},
        {"item_ids": [1, 2]},
        {"item_ids": "item-001"},
        b"[]",
        b"{",
    ],
)
def test_a_request_that_cannot_be_is_a_validation_error(service: Service, body: object) -> None:
    answer = service.post("/api/irt/calibrate", body, role=Role.OPERATOR)
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    assert answer.json["data"] is None


def test_numbers_are_read_and_fields_passed_over_as_the_service_does_it() -> None:
    """Its models are Pydantic's, as they are when nothing is said."""
    sent = '{"min_responses": "50", "max_iterations": 200.0, "model": "3pl"}'
    asked = IrtCalibrationRequest.model_validate_json(sent)
    assert (asked.min_responses, asked.max_iterations) == (50, 200)


def test_every_item_is_calibrated_or_skipped_with_a_reason(calibrated: Programme) -> None:
    found = answered(calibrated, min_responses=30)
    assert found.model_dump().keys() == RESPONSE
    assert found.items_calibrated == len(found.parameters) > 0
    assert found.items_skipped == len(found.skipped_items) > 0
    assert found.items_flagged == sum(item.is_flagged for item in found.parameters)
    assert all(item.response_count >= 30 for item in found.parameters)
    assert found.convergence_achieved
    assert 1 <= found.iterations_used <= 100
    assert found.elapsed_seconds == 1.5
    assert {item.calibration_run_id for item in found.parameters} == {found.calibration_run_id}
    by_reason = {
        reason: [item for item in found.skipped_items if item.reason == reason]
        for reason in ("insufficient_responses", "held_as_anchor")
    }
    assert len(by_reason["held_as_anchor"]) == 24
    assert sum(map(len, by_reason.values())) == found.items_skipped
    assert all(item.response_count < 30 for item in by_reason["insufficient_responses"])
    ids = [*(p.item_id for p in found.parameters), *(s.item_id for s in found.skipped_items)]
    assert len(set(ids)) == len(ids) == 150


def test_the_answer_is_about_the_items_that_were_asked_for(calibrated: Programme) -> None:
    everything = answered(calibrated, min_responses=30)
    chosen = [item.item_id for item in everything.parameters[:2]]
    low = next(s for s in everything.skipped_items if s.reason == "insufficient_responses")
    found = answered(calibrated, min_responses=30, item_ids=[*chosen, low.item_id, "item-low-001"])
    assert [item.item_id for item in found.parameters] == chosen
    assert {(s.item_id, s.reason) for s in found.skipped_items} == {
        (low.item_id, "insufficient_responses"),
        ("item-low-001", "unknown_item"),
    }


def test_nobody_gets_below_the_programmes_own_minimum(calibrated: Programme) -> None:
    found = answered(calibrated, min_responses=1)
    assert calibrated.settings.policy.minimum_responses == 10
    assert min(item.response_count for item in found.parameters) >= 10


@pytest.mark.parametrize("request_", [{"min_responses": 10**6}, {"item_ids": ["uuid-1"]}])
def test_without_an_item_with_enough_answers_data_are_insufficient(
    calibrated: Programme, request_: dict[str, Any]
) -> None:
    with pytest.raises(ApiError) as refusal:
        answered(calibrated, **request_)
    assert (refusal.value.status, refusal.value.code) == (400, "INSUFFICIENT_DATA")


def test_a_night_that_publishes_nothing_has_failed(programme: Programme) -> None:
    programme.with_policy(population_sd_range=(2.0, 5.0)).night(LAST)
    with pytest.raises(ApiError) as refusal:
        answered(programme)
    assert (refusal.value.status, refusal.value.code) == (500, "CALIBRATION_FAILED")
    assert "population" in refusal.value.message


def test_a_caller_may_ask_for_more_care_than_the_programme_and_never_for_less(
    calibrated: Programme,
) -> None:
    policy = calibrated.settings.policy
    assert policy_of(IrtCalibrationRequest(), policy) == policy
    tight = policy_of(IrtCalibrationRequest(convergence_threshold=0.0001), policy).em
    assert (tight.tolerance, tight.maximum_cycles) == (0.0001, 500)
    patient = policy_of(IrtCalibrationRequest(max_iterations=200), policy).em
    assert (patient.tolerance, patient.maximum_cycles) == (policy.em.tolerance, 200)
    loose = IrtCalibrationRequest(convergence_threshold=0.9, max_iterations=1, min_responses=1)
    assert policy_of(loose, policy) == policy


def test_a_caller_cannot_ask_for_so_much_that_the_night_fails(programme: Programme) -> None:
    """The programme's settings let the night be published: no caller's may prevent it."""
    greedy = IrtCalibrationRequest(convergence_threshold=1e-300, max_iterations=1)
    policy = policy_of(greedy, programme.settings.policy)
    assert programme.with_policy(em=policy.em).night(FIRST).outcome == "completed"


@pytest.mark.parametrize(
    ("stopped_by", "status", "code"),
    [
        (LockHeldError("another calibration is running"), 409, "CALIBRATION_IN_PROGRESS"),
        (SourceUnavailableError("the answers can't be read"), 500, "CALIBRATION_FAILED"),
        (NightBlockedError("the night can't be calibrated"), 500, "CALIBRATION_FAILED"),
        (CalibrationCrashedError("its process has died"), 500, "CALIBRATION_FAILED"),
        (DatabaseUnavailableError("postgresql://secret-host"), 503, "DATABASE_UNAVAILABLE"),
    ],
)
def test_what_stops_a_run_ends_in_a_code_of_the_contract(
    service: Service, monkeypatch: pytest.MonkeyPatch, stopped_by: Exception, status: int, code: str
) -> None:
    def stopped(*_arguments: object) -> str:
        raise stopped_by

    monkeypatch.setattr(NightRuns, "run", stopped)
    answer = service.post("/api/irt/calibrate", {}, role=Role.OPERATOR)
    assert (answer.status, answer.code) == (status, code)
    assert "secret-host" not in answer.body.decode()


@pytest.fixture
def calibrating_service(
    calibrated_copy: Programme, dagster_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    """A service on the day after the programme's last, whose runs are in a Dagster of its own."""
    for name, value in environment_of(calibrated_copy.settings, dagster_url).items():
        monkeypatch.setenv(name, value)
    tomorrow = partial(NightRuns, folder=PROJECT, today=lambda _timezone: LAST + timedelta(days=1))
    monkeypatch.setattr(contract_services, "NightRuns", tomorrow)
    with serving(calibrated_copy.settings) as found:
        yield found


def test_of_two_calibrations_at_once_the_second_is_refused(
    calibrating_service: Service, calibrated_copy: Programme
) -> None:
    """A real run of Dagster's: started by the first, waited for, and read back."""
    service, answers = calibrating_service, list[Answer]()

    def calibrate() -> None:
        body = {"min_responses": 30}
        answers.append(service.post("/api/irt/calibrate", body, role=Role.OPERATOR))

    with CalibrationLock(calibrated_copy.engine, "a night on another machine"):
        calibrate()
    assert (answers[0].status, answers[0].code) == (409, "CALIBRATION_IN_PROGRESS")
    answers.clear()
    callers = [threading.Thread(target=calibrate) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(PATIENCE_SECONDS)
    answer, refused = sorted(answers, key=lambda answer: answer.status)
    assert (refused.status, refused.code) == (409, "CALIBRATION_IN_PROGRESS")
    assert answer.status == 200, answer.body
    found = answer.json["data"]
    assert found.keys() == RESPONSE
    logged = calibrated_copy.scalar(
        "SELECT triggered_by FROM calibration.runs WHERE run_id = :run",
        run=found["calibration_run_id"],
    )
    assert logged == "HTTP, test operator"
    # The night has found the values again that stand. They are filed under the run that the caller
    # knows; who asks later hears of the run that published them.
    assert {item["calibration_run_id"] for item in found["parameters"]} == {
        found["calibration_run_id"]
    }
    one = found["parameters"][0]
    later = service.get(f"/api/irt/parameters/{one['item_id']}").json["data"]
    assert later["calibration_run_id"] != one["calibration_run_id"]
    assert later | {"calibration_run_id": ""} == one | {"calibration_run_id": ""}
