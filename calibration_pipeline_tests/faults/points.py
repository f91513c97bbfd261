"""Named places in a night at which a fault may strike.

The program knows nothing of them: a child process that is about to run a night wraps the
functions named here (`attach`). Besides, every SQL statement and every commit of a run is a
place, counted from 1, whatever function it belongs to.
"""

import functools
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

BEFORE, AFTER = "before", "after"
Visit = Callable[[str, str], None]
"""Told the name of a point, and whether it is about to happen or has happened."""

BOUNDARIES = (
    "extraction",
    "archive write",
    "fit",
    "state write",
    "draft write",
    "audit",
    "publication",
    "alias move",
)
"""The steps whose boundaries must have points; the other steps are welcome extras."""


def _always(*_arguments: Any) -> bool:
    return True


def _is_in_archive(path: object) -> bool:
    return "/archive/" in str(path)


def _descriptor_is_in_archive(descriptor: int) -> bool:
    return _is_in_archive(Path(f"/proc/self/fd/{descriptor}").readlink())


@dataclass(frozen=True)
class Point:
    """A function, before and after it.

    Attributes
    ----------
    name
        As reports call it.
    step
        The part of the night that it belongs to.
    target
        ``module:attribute``, where its caller looks it up.
    is_between
        No transaction of the run is open there: a successor can take the lock.
    concerns
        Whether a call, given its arguments, is meant: for functions that others use too.
    """

    name: str
    step: str
    target: str
    is_between: bool = False
    concerns: Callable[..., bool] = _always


_STORE = "calibration_pipeline.store"
_ASSETS = "calibration_pipeline.orchestration.assets"
_COPY = "copy_rows"

POINTS = (
    Point("taking the lock", "lock", f"{_STORE}.lock:CalibrationLock.__enter__"),
    Point("closing abandoned runs", "run log", f"{_STORE}.runs:close_abandoned_runs"),
    Point("opening the run", "run log", f"{_STORE}.runs:open_run", is_between=True),
    Point("search for days due", "extraction", f"{_STORE}.due_days:days_due", is_between=True),
    Point("extracting a day", "extraction", f"{_STORE}.extraction:extract_day", is_between=True),
    Point("reading the source", "extraction", f"{_STORE}.sources.native:NativeView.stream_day"),
    Point("remembering candidates", "extraction", f"{_STORE}.extraction:remember_candidates"),
    Point("recording a revision", "extraction", f"{_STORE}.revisions:record"),
    Point("opening a day's files", "archive write", f"{_STORE}.archive:Archive.write_day"),
    Point("writing answers", "archive write", f"{_STORE}.archive:DayWriter.write"),
    Point("naming a day's files", "archive write", f"{_STORE}.archive:DayWriter.commit"),
    Point("finishing a file", "archive write", f"{_STORE}.archive_files:TemporaryParquet.finish"),
    Point("syncing a file", "archive write", "os:fsync", concerns=_descriptor_is_in_archive),
    Point("renaming a file", "archive write", "pathlib:Path.replace", concerns=_is_in_archive),
    Point("removing a file", "archive write", "pathlib:Path.unlink", concerns=_is_in_archive),
    Point("reading the inputs", "fit", f"{_ASSETS}.item_fits:read_night_inputs", is_between=True),
    Point("the fit", "fit", f"{_ASSETS}.item_fits:calibrate_night", is_between=True),
    Point("writing the state", "state write", f"{_STORE}.states:write_state", is_between=True),
    Point("copying the state's rows", "state write", f"{_STORE}.states:{_COPY}"),
    Point("writing flags", "results", f"{_STORE}.results:write_flags", is_between=True),
    Point("writing links", "results", f"{_STORE}.results:write_links", is_between=True),
    Point("copying results", "results", f"{_STORE}.results:{_COPY}"),
    Point(
        "composing a version",
        "draft write",
        f"{_ASSETS}.calibration_snapshot:compose_snapshot",
        is_between=True,
    ),
    Point("writing the draft", "draft write", f"{_STORE}.drafts:write_draft", is_between=True),
    Point("copying the draft's rows", "draft write", f"{_STORE}.drafts:{_COPY}"),
    Point("reading the draft back", "audit", f"{_STORE}.drafts:read_draft_items", is_between=True),
    Point("the audit", "audit", f"{_ASSETS}.calibration_snapshot:audit_snapshot", is_between=True),
    Point("recording the audit", "audit", f"{_STORE}.drafts:record_audit", is_between=True),
    Point("publishing", "publication", f"{_STORE}.publication:publish", is_between=True),
    Point("moving the alias", "alias move", f"{_STORE}.publication:move_alias"),
    Point("writing abilities", "abilities", f"{_STORE}.abilities:write_abilities", is_between=True),
    Point("copying abilities", "abilities", f"{_STORE}.abilities:{_COPY}"),
    Point("writing the page", "report", f"{_ASSETS}.nightly_report:write_page", is_between=True),
    Point("writing the index", "report", f"{_ASSETS}.nightly_report:write_index", is_between=True),
    Point("closing the run", "run log", f"{_STORE}.runs:close_run", is_between=True),
    Point("freeing the lock", "lock", f"{_STORE}.lock:CalibrationLock.__exit__"),
    Point("a copied row", "SQL", "psycopg:Copy.write_row"),
    Point("a commit", "SQL", "sqlalchemy.dialects.postgresql.psycopg:PGDialect_psycopg.do_commit"),
)
STATEMENT = "a statement"
COMMIT = "a commit"
LAST_WRITE = "closing the run"
"""Whoever has done this has nothing left to write that a successor could mind."""
STEP_OF = {point.name: point.step for point in POINTS} | {STATEMENT: "SQL"}


def attach(visit: Visit) -> None:
    """Have `visit` called at every point, from now until this process ends.

    Raises
    ------
    AttributeError
        A function isn't where its point says: it was moved or renamed.
    """
    for point in POINTS:
        module, _, path = point.target.partition(":")
        *owners, attribute = path.split(".")
        owner: Any = importlib.import_module(module)
        for name in owners:
            owner = getattr(owner, name)
        original = inspect.getattr_static(owner, attribute, None) or getattr(owner, attribute)
        setattr(owner, attribute, _wrapped(original, point, visit))
    _attach_to_statements(visit)


def _wrapped(original: Callable[..., Any], point: Point, visit: Visit) -> Callable[..., Any]:
    if inspect.isgeneratorfunction(original):

        @functools.wraps(original)
        def generator(*arguments: Any, **options: Any) -> Any:
            visit(point.name, BEFORE)
            yield from original(*arguments, **options)
            visit(point.name, AFTER)

        return generator

    @functools.wraps(original)
    def function(*arguments: Any, **options: Any) -> Any:
        if not point.concerns(*arguments[:1]):
            return original(*arguments, **options)
        visit(point.name, BEFORE)
        result = original(*arguments, **options)
        visit(point.name, AFTER)
        return result

    return function


def _attach_to_statements(visit: Visit) -> None:
    """Dagster's records of a test are in SQLite: its statements are no part of the night."""

    def visitor(when: str) -> Callable[..., None]:
        def on_statement(connection: sa.Connection, *_rest: Any) -> None:
            if isinstance(connection.dialect, PGDialect_psycopg):
                visit(STATEMENT, when)

        return on_statement

    sa.event.listen(sa.Engine, "before_cursor_execute", visitor(BEFORE))
    sa.event.listen(sa.Engine, "after_cursor_execute", visitor(AFTER))
