"""Flags over HTTP: what waits, the evidence, and decisions under the token's name."""

from typing import Any

import pytest

from calibration_pipeline.records import Role
from calibration_pipeline_tests.interfaces.api.published import NIGHT
from calibration_pipeline_tests.interfaces.api.service import Service


def listed(service: Service, query: str = "") -> list[tuple[str, str, str]]:
    found = service.get(f"/v1/flags{query}").json
    assert found["night"] == str(NIGHT)
    return [(flag["item_id"], flag["reason"], flag["status"]) for flag in found["flags"]]


def decide(service: Service, item: str, **body: Any) -> Any:
    body = {"reason": "a test"} | body
    return service.post(f"/v1/flags/{item}/decisions", body, role=Role.OPERATOR)


def test_flags_are_listed_by_evidence_and_page(reading: Service) -> None:
    drift, misfit = ("i1", "reference_drift", "open"), ("i2", "misfit_infit", "open")
    assert listed(reading) == [misfit, drift]
    assert listed(reading, "?status=new") == [misfit]
    assert listed(reading, "?reason=reference_drift") == [drift]
    assert listed(reading, "?limit=1&offset=1") == [drift]
    assert reading.get("/v1/flags?limit=1").json["total"] == 2
    assert reading.get("/v1/flags?reason=drift").code == "VALIDATION_ERROR"


def test_an_item_shows_every_nights_evidence(reading: Service) -> None:
    found = reading.get("/v1/flags/i1").json
    assert [flag["nights_seen"] for flag in found["flags"]] == [2]
    assert [row["z"] for row in found["evidence"]] == [4.2, 4.2]
    assert found["decisions"] == []
    assert reading.get("/v1/flags/i7").code == "ITEM_NOT_FOUND"
    assert reading.get("/v1/flags/i1?content_version=2").code == "ITEM_NOT_FOUND"
    assert reading.get("/v1/flags/i1%00").code == "VALIDATION_ERROR"


def test_a_decision_is_recorded_under_the_tokens_name(own_reading: Service) -> None:
    made = decide(own_reading, "i1", decision="acknowledge", reason="  content team asked ").json
    assert made["flags"] == ["reference_drift"]
    assert made["night"] == str(NIGHT)
    prefix = own_reading.tokens[Role.OPERATOR][:12]
    assert made["decided_by"] == f"test operator ({prefix})"
    assert ("i1", "reference_drift", "acknowledged") in listed(own_reading)
    (decision,) = own_reading.get("/v1/flags/i1").json["decisions"]
    assert (decision["decided_by"], decision["reason"]) == (
        made["decided_by"],
        "content team asked",
    )
    again = decide(own_reading, "i1", decision="acknowledge")
    assert (again.status, again.code) == (409, "NOTHING_TO_DECIDE")
    assert decide(own_reading, "i1", decision="reopen").json["flags"] == ["reference_drift"]


def test_an_item_is_retired_and_taken_back(own_reading: Service) -> None:
    retired = decide(own_reading, "i2", decision="retire", first_night="2030-01-05").json
    assert (retired["night"], retired["flags"]) == ("2030-01-05", [])
    assert decide(own_reading, "i2", decision="retire").code == "NOTHING_TO_DECIDE"
    back = decide(own_reading, "i2", decision="reopen", first_night="2030-01-06").json
    assert back["night"] == "2030-01-06"
    about = [row["about"] for row in own_reading.get("/v1/flags/i2").json["decisions"]]
    assert about == ["the item", "the item"]


def test_who_forgets_to_say_that_it_is_json_is_told_so(reading: Service) -> None:
    """As `curl -d` does."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    path, body = "/v1/flags/i1/decisions", b'{"decision": "acknowledge", "reason": "a test"}'
    refused = reading.post(path, body, role=Role.OPERATOR, headers=headers)
    assert (refused.status, refused.code) == (400, "VALIDATION_ERROR")
    assert "Content-Type: application/json" in refused.json["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"decision": "acknowledge", "reason": "  "},
        {"decision": "acknowledge", "reason": "a\x00b"},
        {"decision": "delete"},
        {"decision": "dismiss", "decided_by": "somebody else"},
        {"decision": "retire", "first_night": "tomorrow"},
    ],
)
def test_a_decision_that_cannot_be_used_is_refused(reading: Service, body: dict[str, Any]) -> None:
    refused = decide(reading, "i1", **body)
    assert (refused.status, refused.code) == (400, "VALIDATION_ERROR")
