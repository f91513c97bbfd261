"""Runs, readiness, the log, and what the OpenAPI document says."""

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import DatabaseUnavailableError
from calibration_pipeline.interfaces.api import authorisation
from calibration_pipeline.interfaces.api.calculators import Calculators
from calibration_pipeline.interfaces.api.request_log import LOGGER_NAME, JsonLines
from calibration_pipeline.interfaces.api.routes import runs
from calibration_pipeline.records import ApiToken, Role
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline_tests.interfaces.api.published import NIGHT
from calibration_pipeline_tests.interfaces.api.service import Service, wait_until
from calibration_pipeline_tests.processes import PATIENCE_SECONDS


def test_runs_are_listed_and_shown(reading: Service) -> None:
    (run,) = reading.get(f"/v1/runs?night={NIGHT}").json["runs"]
    assert (run["outcome"], run["triggered_by"]) == ("under way", "a test")
    shown = reading.get(f"/v1/runs/{run['run_id']}").json
    assert shown == run | {"configuration": {"window_days": 30}, "package_versions": {"numpy": "2"}}
    assert reading.get("/v1/runs?night=2020-01-01").json == {"runs": []}
    missing = "/v1/runs/00000000-0000-0000-0000-000000000000"
    assert reading.get(missing).code == "RUN_NOT_FOUND"
    assert reading.get("/v1/runs/12").code == "VALIDATION_ERROR"


def test_a_database_that_is_lost_is_tried_once_for_all_who_wait(
    own_reading: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead host answers after ten seconds: in turn, a hundred callers would wait for minutes."""
    tries = list[int]()

    def unreachable(_database: object) -> dict[str, ApiToken]:
        tries.append(1)
        raise DatabaseUnavailableError("it can't be reached")

    monkeypatch.setattr(authorisation, "valid_tokens", unreachable)
    monkeypatch.setattr(authorisation, "TOKENS_FRESH_SECONDS", PATIENCE_SECONDS)

    found = _looked_up_at_once(own_reading, ["t"] * 20)
    assert {type(each) for each in found} == {DatabaseUnavailableError}
    assert len(tries) == 1


def test_tokens_are_read_once_for_all_who_present_unknown_ones(
    own_reading: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a database that takes its time: in turn, they would wait for seconds."""
    reads = list[int]()

    def slow(_database: object) -> dict[str, ApiToken]:
        reads.append(1)
        time.sleep(2 * authorisation.UNKNOWN_SECONDS)
        return {}

    monkeypatch.setattr(authorisation, "valid_tokens", slow)
    monkeypatch.setattr(authorisation, "TOKENS_FRESH_SECONDS", PATIENCE_SECONDS)

    assert _looked_up_at_once(own_reading, [f"t{n}" for n in range(20)]) == [None] * 20
    assert len(reads) == 2


def _looked_up_at_once(service: Service, tokens: list[str]) -> list[object]:
    """Look tokens up in a book of their own, all at the same time; give tokens or errors."""

    async def look_up() -> list[object]:
        book = authorisation.TokenBook(open_engine(service.database_url))
        return await asyncio.gather(*map(book.find, tokens), return_exceptions=True)

    return asyncio.run(look_up())


def test_a_pool_without_a_free_connection_is_no_failure_of_the_service(
    own_reading: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise sa.exc.TimeoutError("QueuePool limit")

    monkeypatch.setattr(runs, "list_runs", full)
    refused = own_reading.get("/v1/runs")
    assert (refused.status, refused.code) == (503, "DATABASE_UNAVAILABLE")
    monkeypatch.setattr(authorisation, "valid_tokens", full)
    wait_until(lambda: own_reading.get("/v1/live").status == 200)
    wait_until(lambda: own_reading.get("/v1/versions").status == 503)


@pytest.mark.parametrize("path", ["/health", "/v1/versions/current", "/v1/runs", "/calibrate"])
def test_head_is_a_get_without_its_body(reading: Service, path: str) -> None:
    whole, head = reading.get(path), reading.call("HEAD", path)
    assert (head.status, head.body) == (whole.status, b"")
    varying = {"date", "x-request-id"}
    assert {k: v for k, v in head.headers.items() if k not in varying} == {
        k: v for k, v in whole.headers.items() if k not in varying
    }


def test_a_service_is_ready_while_its_database_has_its_tables(own_reading: Service) -> None:
    assert own_reading.get("/v1/live", role=None).json == {"status": "alive"}
    ready = own_reading.get("/v1/ready", role=None)
    assert (ready.status, ready.json["is_ready"], ready.json["current_version"]) == (200, True, 2)
    assert ready.json["age_seconds"] >= 0
    own_reading.execute("UPDATE calibration.alembic_version SET version_num = '0001'")
    behind = own_reading.get("/v1/ready", role=None)
    assert (behind.status, behind.json["reason"]) == (503, "SchemaRevisionError")


def test_a_service_is_not_ready_before_its_calculators_are(
    own_reading: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the first calibration is as quick as all others."""
    monkeypatch.setattr(Calculators, "are_starting", property(lambda _self: True))
    starting = own_reading.get("/v1/ready", role=None)
    assert (starting.status, starting.json["reason"]) == (503, "CalculatorsStarting")


def test_without_its_database_the_service_lives_and_lets_nobody_in(own_reading: Service) -> None:
    assert own_reading.get("/v1/versions").status == 200
    own_reading.close_database()
    wait_until(lambda: own_reading.get("/v1/versions").status == 503)
    refused = own_reading.get("/v1/versions")
    assert refused.code == "DATABASE_UNAVAILABLE"
    assert refused.headers["retry-after"] == "5"
    assert "postgres" not in refused.body.decode().lower()
    assert own_reading.get("/v1/ready", role=None).json["is_ready"] is False
    assert own_reading.get("/v1/live", role=None).status == 200
    assert own_reading.get("/v1/live").status == 200


@pytest.fixture
def log_lines() -> Iterator[list[dict[str, Any]]]:
    """What the service logs meanwhile, as it is written."""
    lines: list[dict[str, Any]] = []
    handler = logging.Handler()
    handler.setFormatter(JsonLines())
    handler.emit = lambda record: lines.append(json.loads(handler.format(record)))  # type: ignore[method-assign]
    logger = logging.getLogger(LOGGER_NAME)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_a_request_leaves_one_line_without_its_token(
    reading: Service, log_lines: list[dict[str, Any]]
) -> None:
    token = reading.tokens[Role.READER]
    headers = {"X-Request-ID": "engine-7.42"}
    found = reading.get(f"/v1/versions?limit=1&token={token}", headers=headers)
    assert found.headers["x-request-id"] == "engine-7.42"
    (line,) = (line for line in log_lines if line["request_id"] == "engine-7.42")
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/versions", 200)
    assert (line["token"], line["caller"]) == (token[:12], "test reader")
    assert line["bytes"] == len(found.body)
    assert token not in json.dumps(log_lines)


def test_an_id_that_could_forge_the_log_is_replaced(reading: Service) -> None:
    found = reading.get("/v1/live", headers={"X-Request-ID": 'a", "status": 200'})
    assert len(found.headers["x-request-id"]) == 32


def test_an_error_nobody_foresaw_tells_the_caller_its_id_alone(
    own_reading: Service, log_lines: list[dict[str, Any]]
) -> None:
    own_reading.execute("ALTER TABLE calibration.runs RENAME COLUMN triggered_by TO secret_name")
    failed = own_reading.get("/v1/runs")
    assert (failed.status, failed.code) == (500, "INTERNAL_ERROR")
    assert "triggered_by" not in failed.body.decode()
    request_id = failed.json["error"]["request_id"]
    tracebacks = [line for line in log_lines if "traceback" in line]
    assert request_id in tracebacks[0]["message"]
    assert "triggered_by" in tracebacks[0]["traceback"]


def test_every_field_and_parameter_is_described(reading: Service) -> None:
    document = reading.get("/v1/openapi.json").json
    models = document["components"]["schemas"]
    fields = {
        # Pydantic leaves a text out that is the one of the model it points at.
        f"{name}.{field}": schema.get("description")
        or models.get(schema.get("$ref", "").rpartition("/")[2], {}).get("description")
        for name, model in models.items()
        for field, schema in model.get("properties", {}).items()
    }
    parameters = {
        f"{path}?{parameter['name']}": parameter.get("description")
        for path, operations in document["paths"].items()
        for operation in operations.values()
        for parameter in operation.get("parameters", [])
    }
    assert len(fields) > 100
    assert [name for name, text in (fields | parameters).items() if not text] == []
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            assert "422" not in operation["responses"]
