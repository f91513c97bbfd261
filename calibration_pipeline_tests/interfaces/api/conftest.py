"""A service over the shared calibrated programme, for tests that only read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from calibration_pipeline.api_configuration import ApiConfiguration
from calibration_pipeline.settings import Settings
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline_tests.database import Once
from calibration_pipeline_tests.interfaces.api.published import published_database
from calibration_pipeline_tests.interfaces.api.service import Service, serving
from calibration_pipeline_tests.programme import (
    Programme,
    calibrated,
    calibrated_copy,
    copy_of,
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
UNHURRIED = {"refusals_per_second": 1e5, "writes_per_second": 1e5}
"""Limits for tests that are about something else."""


@pytest.fixture(scope="session")
def service(
    once: Once, embedded_server: EmbeddedServer, calibrated: Programme, tmp_path_factory: Folders
) -> Service:
    """A service over a programme with eight published versions. Shared: only read."""
    return once(_service, embedded_server, calibrated, tmp_path_factory)


@contextmanager
def _service(server: EmbeddedServer, programme: Programme, folders: Folders) -> Iterator[Service]:
    # Of a copy: who copies the programme, too, must find nobody connected to it.
    with (
        copy_of(programme, server, folders.mktemp("served") / "home") as own,
        serving(unhurried(own.settings)) as found,
    ):
        yield found


@pytest.fixture
def own_service(calibrated_copy: Programme) -> Iterator[Service]:
    """A service over a programme of the test's own, which may be changed."""
    with serving(unhurried(calibrated_copy.settings)) as found:
        yield found


def unhurried(settings: Settings) -> Settings:
    """Give settings without a limit on how often the service is called."""
    return settings.model_copy(update={"api": ApiConfiguration(**UNHURRIED)})


@pytest.fixture(scope="session")
def reading(once: Once, embedded_server: EmbeddedServer, tmp_path_factory: Folders) -> Service:
    """A service over two versions, flags and a run, made without a calibration. Only read."""
    return once(_reading, once, embedded_server, tmp_path_factory)


@contextmanager
def _reading(once: Once, server: EmbeddedServer, folders: Folders) -> Iterator[Service]:
    home = folders.mktemp("api")
    with (
        published_database(once, server, home, **UNHURRIED) as settings,
        serving(settings) as found,
    ):
        yield found


@pytest.fixture
def own_reading(once: Once, embedded_server: EmbeddedServer, tmp_path: Path) -> Iterator[Service]:
    """The same, of the test's own."""
    with (
        published_database(once, embedded_server, tmp_path, **UNHURRIED) as settings,
        serving(settings) as found,
    ):
        yield found
