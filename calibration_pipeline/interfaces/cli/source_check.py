"""Whether the source of answers can be read, for ``calibrate doctor`` and ``calibrate status``."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.installation import Check
from calibration_pipeline.settings import Settings

if TYPE_CHECKING:
    from calibration_pipeline.store.sources.examining import Examined

_NAME = "Source of answers"
_REMEDY = "do what it says, and look again; docs/sources.md describes each kind"


def check_source(settings: Settings) -> Check:
    """Say what nights would read, or why they can't; reads no answers."""
    try:
        found = examine_configured_source(settings)
    except CalibrationError as error:
        return Check(_NAME, False, f"{settings.source.kind}: {error}", _REMEDY)
    return Check(_NAME, True, describe(settings, found))


def describe(settings: Settings, found: Examined) -> str:
    """Say what is read and what was noticed, in one line; settings and errors name the database."""
    return "; ".join([f"{settings.source.kind}: {', '.join(found.reads)}", *found.warnings])


def examine_configured_source(settings: Settings) -> Examined:
    """Look at the source that the settings name; the store is opened where its tables are there.

    Raises
    ------
    SourceError
        The source can't be read.
    DatabaseUnavailableError
        Its tables are in the store's database, and that can't be reached.
    """
    from calibration_pipeline.store.sources.choosing import is_own_log
    from calibration_pipeline.store.sources.examining import examine_source

    source, store_url = settings.source, ""
    with ExitStack() as stack:
        if source.kind != "files" and source.database_url is None and not is_own_log(source):
            opened = configured_database(check_revision=False, create=False)
            store_url = stack.enter_context(opened).url.render_as_string(hide_password=False)
        return examine_source(source, settings.home, store_url)
