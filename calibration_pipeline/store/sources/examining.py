"""A look at a source before anything is read from it: can it be reached, and do its columns fit."""

from dataclasses import dataclass
from pathlib import Path

from calibration_pipeline.store.sources.choosing import choose_reader, is_own_log
from calibration_pipeline.store.sources.configuration import SourceConfiguration


@dataclass(frozen=True)
class Examined:
    """What nights would read.

    Attributes
    ----------
    reads
        Tables with their columns, or files.
    warnings
        What was noticed, such as a table that another one stands in for.
    """

    reads: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def examine_source(configuration: SourceConfiguration, home: Path, store_url: str) -> Examined:
    """Try whether a source can be read, without reading answers.

    Parameters
    ----------
    configuration, home
        See `choosing.choose_source`.
    store_url
        Of the store's database, with its password; for tables that are in it.

    Raises
    ------
    SourceSettingError
        The settings name what this kind of source doesn't have.
    SourceError, SourceUnavailableError
        It can't be read as configured; it can't be reached now.
    """
    if is_own_log(configuration):
        return Examined(("calibration.response_log of the store",))
    reader = choose_reader(configuration, home, keep=False)
    return Examined(reader.examine(store_url), reader.warnings)
