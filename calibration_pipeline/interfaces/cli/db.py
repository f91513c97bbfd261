"""``calibrate db``: the embedded PostgreSQL server; roles, backups and restores of any."""

import click

from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.interfaces.cli.accept_key import accept_key
from calibration_pipeline.interfaces.cli.backup import backup, restore
from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table
from calibration_pipeline.interfaces.cli.db_roles import roles
from calibration_pipeline.settings import load_settings
from calibration_pipeline.store.embedded import EmbeddedServer


@click.group()
def db() -> None:
    """Start, stop and look at the embedded PostgreSQL; roles and backups of any database.

    The embedded one is used whenever CALIBRATION_DATABASE_URL is not set, and keeps its data below
    CALIBRATION_HOME.

    Example: calibrate db start
    """


for command in (roles, backup, restore, accept_key):
    db.add_command(command)


@db.command()
def start() -> None:
    """Start the server, if it does not run yet, and print its URL.

    Example: psql "$(calibrate db start)"
    """
    server = _server_in_use()
    server.start()
    click.echo(_printable_url(server))


@db.command()
def stop() -> None:
    """Stop the server; the data stay.

    Example: calibrate db stop
    """
    was_running = EmbeddedServer(load_settings().home).stop()
    click.echo("Stopped." if was_running else "The embedded database was not running.")


@db.command()
def url() -> None:
    """Print the URL of the running server.

    Example: psql "$(calibrate db url)"
    """
    server = _server_in_use()
    if not server.is_running():
        raise CalibrationError(
            "The embedded database is not running: start it with `calibrate db start`."
        )
    click.echo(_printable_url(server))


@db.command()
@json_option
def status(as_json: bool) -> None:
    """Tell whether the server runs and where its files are; exit code 1 if it does not run.

    Example: calibrate db status --json
    """
    settings = load_settings()
    server = EmbeddedServer(settings.home)
    facts = {
        "running": server.is_running(),
        "in_use": settings.database_url is None,
        "url": _printable_url(server),
        "data": str(server.data),
        "log": str(server.log),
    }
    if as_json:
        print_json(facts)
    else:
        rows = [{"name": name.replace("_", " "), "value": value} for name, value in facts.items()]
        print_table(rows, {"name": "Embedded database", "value": ""})
    if not facts["running"]:
        raise click.exceptions.Exit(1)


def _server_in_use() -> EmbeddedServer:
    """Give the embedded server, refusing where the operator has chosen another database."""
    settings = load_settings()
    if settings.database_url is not None:
        raise CalibrationError(
            "CALIBRATION_DATABASE_URL is set, so the embedded database is not used: "
            "unset it to use the embedded one."
        )
    return EmbeddedServer(settings.home)


def _printable_url(server: EmbeddedServer) -> str:
    # Here, and not above: SQLAlchemy takes longer to import than `--help` may.
    from calibration_pipeline.store.urls import to_libpq

    return to_libpq(server.url())
