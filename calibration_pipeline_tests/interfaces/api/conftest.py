"""A service over the shared calibrated programme, for tests that only read."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from calibration_pipeline_tests.database import Once
from calibration_pipeline_tests.interfaces.api.service import Service, serving
from calibration_pipeline_tests.programme import (
    Programme,
    calibrated,
    calibrated_copy,
    dagster_template,
    dagster_url,
    loaded_template,
    programme,
)

__all__ = [
    "calibrated",
    "calibrated_copy",
    "dagster_template",
    "dagster_url",
    "loaded_template",
    "programme",
]


@pytest.fixture(scope="session")
def service(once: Once, calibrated: Programme) -> Service:
    """The service over a programme with eight published versions. Shared: only read."""
    return once(_service, calibrated)


@contextmanager
def _service(programme: Programme) -> Iterator[Service]:
    with serving(programme.settings) as found:
        yield found


@pytest.fixture
def own_service(calibrated_copy: Programme) -> Iterator[Service]:
    """A service over a programme of the test's own, which may be changed."""
    with serving(calibrated_copy.settings) as found:
        yield found
