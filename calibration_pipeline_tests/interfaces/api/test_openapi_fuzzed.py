"""Schemathesis over the whole OpenAPI document: no server error, no undeclared answer."""

from collections.abc import Iterator
from contextlib import contextmanager
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
STARTS_WORK = {"/calibrate", "/v1/admin/exposure/set", "/v1/admin/exposure/calibrate_sh"}
"""What is asked for here takes processes seconds."""
FEW, MANY, AT_WORK = 8, 150, 5


@pytest.fixture(scope="module")
def fuzzed(
    once: Once, embedded_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service of this module's own: what is sent may change things.

    A calibration is running all the time, so that none is begun: each would take a minute.
    """
    home: Path = tmp_path_factory.mktemp("fuzzed")
    with (
        published_database(once, embedded_server, home, **UNHURRIED) as own,
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
    return st.one_of(
        operation.as_strategy(),
        operation.as_strategy(path_parameters=known),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )


def _try_out(service: Service, operation: Any, examples: int) -> None:
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
        case.call_and_validate(
            base_url=service.url, headers=headers, checks=CHECKS, timeout=PATIENCE_SECONDS
        )

    answers_as_documented()


@pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS if operation.path not in STARTS_WORK],
    ids=lambda operation: operation.label,
)
def test_every_answer_is_a_documented_one(fuzzed: Service, operation: Any) -> None:
    _try_out(fuzzed, operation, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_answer_to_many_requests_is_a_documented_one(fuzzed: Service, operation: Any) -> None:
    _try_out(fuzzed, operation, AT_WORK if operation.path in STARTS_WORK else MANY)
