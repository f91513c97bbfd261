"""From the settings to the source of answers."""

from pathlib import Path

from calibration_pipeline.store.sources.base import ResponseSource
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline.store.sources.native import NATIVE
from calibration_pipeline.store.sources.raw import RawReader
from calibration_pipeline.store.sources.scratch_folder import scratch_folder


def choose_source(
    configuration: SourceConfiguration, home: Path, *, keep: bool = True
) -> ResponseSource:
    """Give the source that the settings name; it isn't read yet.

    Parameters
    ----------
    configuration
        Of the settings.
    home
        Folder for a day under way, and for what is remembered of files.
    keep
        Remember files for the next time; not so in a dry run.

    Raises
    ------
    SourceSettingError
        A name in the settings isn't one of the source's.
    """
    if is_own_log(configuration):
        return NATIVE
    # Here, and not above: the usual source needs none of it, and DuckDB takes a while to import.
    from calibration_pipeline.store.sources.derived import DerivedSource

    reader = choose_reader(configuration, home, keep=keep)
    return DerivedSource(reader, configuration, scratch_folder(home))


def is_own_log(configuration: SourceConfiguration) -> bool:
    """Whether the answers are those of the store's own response log."""
    return configuration.kind == "response_log" and configuration.database_url is None


def choose_reader(
    configuration: SourceConfiguration, home: Path, *, keep: bool = True
) -> RawReader:
    """Give the reader of a source that isn't the store's own log; see `choose_source`."""
    match configuration.kind:
        case "response_log":
            from calibration_pipeline.store.sources.sql.elsewhere import LogElsewhereReader

            return LogElsewhereReader(configuration)
        case "attempt":
            from calibration_pipeline.store.sources.sql.attempt import AttemptReader

            return AttemptReader(configuration)
        case "student_attempts":
            from calibration_pipeline.store.sources.sql.student_attempts import (
                StudentAttemptsReader,
            )

            return StudentAttemptsReader(configuration)
        case "practice":
            from calibration_pipeline.store.sources.sql.practice import PracticeReader

            return PracticeReader(configuration)
        case "files":
            from calibration_pipeline.store.sources.files.reader import FilesReader

            return FilesReader(configuration, home / "source_files.json", keep=keep)
