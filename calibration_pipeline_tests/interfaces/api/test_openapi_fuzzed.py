"""Schemathesis over the whole OpenAPI document: no server error, no undeclared answer."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from calibration_pipeline.interfaces.api.app import create_app
from calibration_pipeline.records import Role
from calibration_pipeline.settings import Settings
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline_tests.database import Once
from calibration_pipeline_tests.interfaces.api.conftest import UNHURRIED
from calibration_pipeline_tests.interfaces.api.published import published_database
from calibration_pipeline_tests.interfaces.api.service import Service, serving
from calibration_pipeline_tests.processes import PATIENCE_SECONDS

SCHEMA = schemathesis.openapi.from_dict(create_app(Settings()).openapi())
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
WHAT_THERE_IS = {"version": "current", "item_id": "i1"}
STARTS_WORK: dict[str, dict[str, Any]] = {
    "/calibrate": {},
    "/v1/admin/exposure/set": {"question_id": "i1", "version": 1},
    "/v1/admin/exposure/calibrate_sh": {"exam_code": "main", "test_len": 1, "tau": 0.5},
}
"""What is asked for here takes processes up to seconds; fields of a body that let it be begun."""
PERSONS, ITEMS = 5, 3
FEW, MANY, AT_WORK = 8, 150, 60


@pytest.fixture(scope="module")
def fuzzed(
    once: Once, embedded_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service of this module's own: what is sent may change things."""
    with _busy_service(once, embedded_server, tmp_path_factory.mktemp("fuzzed")) as found:
        yield found


@pytest.fixture
def untouched(once: Once, embedded_server: EmbeddedServer, tmp_path: Path) -> Iterator[Service]:
    """A service of the test's own: no item has been retired by what was sent before."""
    with _busy_service(once, embedded_server, tmp_path) as found:
        yield found


@contextmanager
def _busy_service(once: Once, server: EmbeddedServer, home: Path) -> Iterator[Service]:
    """Run a service while a calibration runs, so that none is begun: each would take a minute."""
    with (
        published_database(once, server, home, **UNHURRIED) as own,
        serving(own) as found,
        calibration_under_way(found.database_url),
    ):
        yield found


@contextmanager
def calibration_under_way(url: str) -> Iterator[None]:
    """Hold the lock that calibrations take."""
    engine = open_engine(url)
    try:
        with CalibrationLock(engine, "a test"):
            yield
    finally:
        engine.dispose()


def _cases(operation: Any) -> st.SearchStrategy[Case]:
    """Requests that the document allows, of what there is and of what there isn't, and others."""
    names = {parameter.name for parameter in operation.path_parameters}
    known = {name: value for name, value in WHAT_THERE_IS.items() if name in names}
    kinds = [
        operation.as_strategy(),
        operation.as_strategy(path_parameters=known),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    ]
    if operation.path in STARTS_WORK:
        kinds += [operation.as_strategy().map(_with_known_body)] * 3
    return st.one_of(kinds)


def _with_known_body(case: Case) -> Case:
    """Let a body name what there is: of what is drawn by chance hardly anything is worked on."""
    if isinstance(case.body, dict):
        case.body = case.body | STARTS_WORK.get(case.operation.path, {})
        observations = case.body.get("observations")
        if isinstance(observations, list) and observations and isinstance(observations[0], dict):
            first = observations[0]
            case.body["observations"] = [
                first
                | {"user_id": f"u{person}", "item_id": f"i{item}", "is_correct": person > item}
                for person in range(PERSONS)
                for item in range(ITEMS)
            ]
    return case


def _try_out(service: Service, operation: Any, examples: int) -> Counter[int]:
    """Send requests; every answer must be a documented one. Give how many had which status."""
    headers = {"Authorization": f"Bearer {service.tokens[Role.ADMINISTRATOR]}"}

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=_cases(operation))
    def answers_as_documented(case: Case) -> None:
        answer = case.call_and_validate(
            base_url=service.url, headers=headers, checks=CHECKS, timeout=PATIENCE_SECONDS
        )
        statuses[answer.status_code] += 1

    statuses: Counter[int] = Counter()
    answers_as_documented()
    return statuses


WORKING = [operation for operation in OPERATIONS if operation.path in STARTS_WORK]
OTHERS = [operation for operation in OPERATIONS if operation.path not in STARTS_WORK]
of_each = partial(pytest.mark.parametrize, "operation", ids=lambda operation: operation.label)


@of_each(OTHERS)
def test_every_answer_is_a_documented_one(fuzzed: Service, operation: Any) -> None:
    _try_out(fuzzed, operation, FEW)


@pytest.mark.slow
@of_each(OTHERS)
def test_every_answer_to_many_requests_is_a_documented_one(fuzzed: Service, operation: Any) -> None:
    _try_out(fuzzed, operation, MANY)


@pytest.mark.slow
@of_each(WORKING)
def test_what_starts_work_answers_as_documented(untouched: Service, operation: Any) -> None:
    statuses = _try_out(untouched, operation, AT_WORK)
    assert statuses[200] >= AT_WORK / 10, statuses
