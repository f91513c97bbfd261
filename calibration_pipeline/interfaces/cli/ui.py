"""`calibrate ui`: Dagster's web interface and its daemon, in the foreground."""

import os
import signal
import socket
import sys
from pathlib import Path

import click

from calibration_pipeline.errors import BadInputError, CalibrationError
from calibration_pipeline.interfaces.cli.database import configured_database

LOOPBACK = "127.0.0.1"


class PortTakenError(CalibrationError):
    """Another program listens where the web interface should."""


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port to use."
)
def ui(port: int) -> None:
    """Open Dagster's web interface: lineage, checks, plots, backfills, the 04:00 schedule.

    Run it in the project's folder. It listens on the loopback address alone, because Dagster's
    open-source interface has no login. Ctrl-C or SIGTERM ends it and everything it started.

    Example: calibrate ui --port 3100
    """
    _require_workspace(Path.cwd())
    require_free_port(LOOPBACK, port, "calibrate ui")
    with configured_database(check_revision=False):
        pass  # Dagster would answer a database that can't be reached with a traceback
    home = f"http://{LOOPBACK}:{port}"
    click.echo(f"Dagster opens at {home} (Ctrl-C ends it)")
    click.echo(f"The chain: {home}/asset-groups; a night's flags: {home}/assets/item_flags")
    sys.stdout.flush()
    # A launcher may have had these ignored, which a new program would inherit.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.SIG_DFL)
    # Replacing this process leaves nobody between the terminal and Dagster: it gets every signal
    # itself and shuts its own services down.
    arguments = ["-m", "dagster", "dev", "--host", LOOPBACK, "--port", str(port)]
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - no shell is meant


def _require_workspace(folder: Path) -> None:
    if not (folder / "workspace.yaml").is_file():
        raise BadInputError(
            f"{folder} holds no workspace.yaml, so Dagster would find nothing to show; "
            "change to the project's folder and try again"
        )


def require_free_port(host: str, port: int, command: str) -> None:
    """Refuse a port that another program has.

    Raises
    ------
    PortTakenError
        It can't be listened on; the message names the next one, for `command`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the web server does: a port that is only winding down after its last user is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTakenError(
                f"port {port} of {host} can't be used ({error.strerror}); "
                f"choose another: {command} --port {port % 65535 + 1}"
            ) from error
