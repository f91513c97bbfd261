"""Databases of other systems that several tests share: none of them changes what others need."""

from collections.abc import Iterator

import pytest

from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline_tests.database import fresh_database


@pytest.fixture(scope="module")
def source_url(embedded_server: EmbeddedServer) -> Iterator[str]:
    """The URL of another system's database, empty at first, for one module's tests."""
    with fresh_database(embedded_server) as url:
        yield url
