"""A service over the shared calibrated programme, for tests that only read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline_tests.database import Once, fresh_database
from calibration_pipeline_tests.interfaces.api.published import published_settings
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

Folders = pytest.TempPathFactory


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


@pytest.fixture(scope="session")
def reading(once: Once, embedded_server: EmbeddedServer, tmp_path_factory: Folders) -> Service:
    """A service over two versions, flags and a run, made without a calibration. Only read."""
    return once(_reading, embedded_server, tmp_path_factory)


@contextmanager
def _reading(server: EmbeddedServer, folders: Folders) -> Iterator[Service]:
    with (
        fresh_database(server) as url,
        serving(published_settings(url, folders.mktemp("api"))) as found,
    ):
        yield found


@pytest.fixture
def own_reading(embedded_server: EmbeddedServer, tmp_path: Path) -> Iterator[Service]:
    """The same, of the test's own."""
    with (
        fresh_database(embedded_server) as url,
        serving(published_settings(url, tmp_path)) as found,
    ):
        yield found
