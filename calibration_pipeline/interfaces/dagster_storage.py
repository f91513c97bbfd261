"""Where Dagster keeps its runs, events and logs: classes that ``dagster.yaml`` names.

They take no configuration. Dagster builds them again in every process it starts, from their names
alone, and each time they ask the settings; so a plain ``dagster dev`` works with no variable set
and finds what the command line stored.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster._config.config_schema import UserConfigSchema
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from calibration_pipeline.settings import Settings, load_settings
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.urls import to_psycopg2, with_public_schema


def storage_url(settings: Settings) -> str:
    """Give the URL of Dagster's database (driver psycopg2), starting the embedded server if needed.

    It is the operator's own database for Dagster if one is set, else the one that holds the
    calibration (whose tables are in a schema of their own), else a database in the embedded server.

    Raises
    ------
    BadInputError
        The URL is not that of a PostgreSQL database.
    DatabaseUnavailableError
        The embedded server can't be started.
    """
    secret = settings.dagster_database_url or settings.database_url
    if secret is not None:
        return with_public_schema(to_psycopg2(secret.get_secret_value()))
    server = EmbeddedServer(settings.home)
    server.start()
    return to_psycopg2(server.dagster_url())


class PipelineStorage(DagsterPostgresStorage):
    """Dagster's storage for runs, events and schedules, in the database of the settings."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Give the configuration schema: empty."""
        return {}

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003 - Dagster's signature
    ) -> "PipelineStorage":
        """Build the storage in a process of Dagster's."""
        return cls(postgres_url=storage_url(load_settings()), inst_data=inst_data)


class PipelineComputeLogs(LocalComputeLogManager):
    """What steps print, kept below the home folder instead of Dagster's temporary one."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Give the configuration schema: empty."""
        return {}

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003 - Dagster's signature
    ) -> "PipelineComputeLogs":
        """Build the log manager in a process of Dagster's."""
        folder = _private_folder(load_settings()) / "compute_logs"
        return cls(base_dir=str(folder), inst_data=inst_data)


class PipelineArtifacts(LocalArtifactStorage):
    """Dagster's local files, kept below the home folder instead of its temporary one."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Give the configuration schema: empty."""
        return {}

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003 - Dagster's signature
    ) -> "PipelineArtifacts":
        """Build the artifact storage in a process of Dagster's."""
        return cls(base_dir=str(_private_folder(load_settings())), inst_data=inst_data)


def _private_folder(settings: Settings) -> Path:
    """Give Dagster's folder below the home, open to its owner alone."""
    folder = settings.home / "dagster"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
