"""What fills the database: ``calibrate migrate``, ``import-bank`` and ``import-responses``."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.cli.console import json_option, progress, say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.interfaces.cli.progress import Reporter
from calibration_pipeline.irt.model import FREE_COORDINATES
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.store.connection import Database
    from calibration_pipeline.store.response_log import ResponseImport

_FILE = click.Path(path_type=Path)
_PERCENT = 100


@click.command()
def migrate() -> None:
    """Create the tables, or bring them to the revision that this program needs.

    Running it again does nothing. Back up a production database first.

    Example: calibrate migrate
    """
    with configured_database(check_revision=False) as database:
        from calibration_pipeline.store.schema import database_revision
        from calibration_pipeline.store.schema import migrate as migrate_schema

        before = database_revision(database)
        after = migrate_schema(database)
    if before == after:
        click.echo(f"The schema is at revision {after} already.")
    else:
        click.echo(f"The schema is at revision {after} now (before: {before or 'none'}).")


@click.command("import-bank")
@click.argument("file", type=_FILE)
@click.option(
    "--model",
    type=click.Choice(tuple(FREE_COORDINATES)),
    default="3PL",
    show_default=True,
    help="Model of the file's scales.",
)
@json_option
def import_bank(file: Path, model: str, as_json: bool) -> None:
    """Add the items of FILE (CSV or Parquet) to the bank: all of them, or none.

    FILE has the columns item_id, discrimination, difficulty and guessing, and if known
    content_version, scale, is_anchor, author_difficulty, content_family and option_count. Blank
    parameters are unknown ones. Items that are in the bank already, unchanged, are passed over.

    Example: calibrate import-bank bank.csv --model 3PL
    """
    with configured_database() as database:
        from calibration_pipeline.store import bank

        result = bank.import_bank(database, file, model)
    facts = {
        "items_added": result.items_added,
        "items_unchanged": result.items_unchanged,
        "scales_added": result.scales_added,
        "anchors_added": result.anchors_added,
        "anchor_set_id": result.anchor_set_id,
    }
    print_facts(f"Imported {file.name}", facts, as_json=as_json)


@click.command("import-responses")
@click.argument("file", type=_FILE)
@click.option("--force", is_flag=True, help="Append answers that are in the log already, too.")
@json_option
def import_responses(file: Path, force: bool, as_json: bool) -> None:
    """Append the answers of FILE (CSV or Parquet) to the response log: all of them, or none.

    FILE has the columns session_id, candidate_id, item_id, is_correct (0 or 1) and answered_at
    (with its offset from UTC), and if known content_version, session_started_at, position,
    time_on_task_ms, option_selected, theta_at_presentation, population_group, engine_version and
    outcome. An outcome of omitted, not_reached or invalid says that nothing was scored: is_correct
    may be blank then. A file that was imported before is passed over. Another file with answers
    (session and item) that are in the log already is refused, unless --force is given. So is every
    file where the settings have nights read their answers from elsewhere.

    Example: calibrate import-responses responses.parquet
    """
    _require_own_log(file)
    with configured_database() as database:
        result = import_with_progress(database, file, repeat_answers=force)
    if result.is_repeat:
        say(f"{file.name} was imported before: nothing was added.")
    facts = {
        "responses_added": 0 if result.is_repeat else result.responses,
        "sessions_in_file": result.sessions,
        "responses_in_file": result.responses,
        "was_imported_before": result.is_repeat,
    }
    print_facts(f"Imported {file.name}", facts, as_json=as_json)


def _require_own_log(file: Path) -> None:
    """Refuse to fill a log that no night would read."""
    from calibration_pipeline.store.sources.choosing import is_own_log

    source = load_settings().source
    if not is_own_log(source):
        given = {
            "KIND": source.kind != "response_log",
            "DATABASE_URL": source.database_url,
            "PATH": source.path,
        }
        names = " and ".join(
            f"CALIBRATION_SOURCE__{name}" for name, value in given.items() if value
        )
        elsewhere = "another database" if source.database_url else source.path or "other tables"
        raise BadInputError(
            f"{file.name} wasn't imported: nights read answers from {elsewhere} (kind "
            f"{source.kind}), never from the store's own log; add it to those, or unset {names} to "
            "have nights read the log"
        )


def import_with_progress(
    database: "Database", file: Path, *, repeat_answers: bool = False
) -> "ResponseImport":
    """Import a file of answers with a progress bar."""
    from calibration_pipeline.store import response_log

    with progress(f"Reading {file.name}, per cent", _PERCENT) as reporter:
        result = response_log.import_responses(
            database, file, _percent_steps(reporter), repeat_answers=repeat_answers
        )
        reporter.advance()
    return result


def _percent_steps(reporter: Reporter) -> Callable[[int, int], None]:
    """Turn 'done of total', in rows or bytes, into steps of one per cent.

    The last step is the caller's: when a file has been read, its answers are yet to be stored.
    """
    shown = 0

    def report(done: int, total: int) -> None:
        nonlocal shown
        reached = min(_PERCENT * done // max(total, 1), _PERCENT - 1)
        if done >= total:
            reporter.describe("Storing the answers, per cent")
        reporter.advance(reached - shown)
        shown = reached

    return report
