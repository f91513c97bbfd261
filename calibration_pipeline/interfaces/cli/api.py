"""``calibrate api``: the HTTP service, in the foreground."""

from __future__ import annotations

from dataclasses import replace

import click

from calibration_pipeline.interfaces.cli.console import say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.ui import require_free_port
from calibration_pipeline.settings import load_settings

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command()
@click.option("--host", help="Address to listen on.  [default: CALIBRATION_API__HOST]")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port to listen on.  [default: CALIBRATION_API__PORT]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Processes that answer.  [default: CALIBRATION_API__WORKERS]",
)
def api(host: str | None, port: int | None, workers: int | None) -> None:
    """Serve published versions, flags, runs and calibrations over HTTP (docs/api.md).

    It speaks plain HTTP and listens on the loopback address unless told otherwise: elsewhere, put a
    proxy with TLS in front. Its log, a line of JSON per request, goes to stderr. Ctrl-C or SIGTERM
    ends it after the requests that are under way.

    Example: calibrate api --port 8000 --workers 2
    """
    limits = load_settings().api
    limits = replace(
        limits,
        host=host or limits.host,
        port=port or limits.port,
        workers=workers or limits.workers,
    )
    require_free_port(limits.host, limits.port, "calibrate api")
    with configured_database(create=False):
        pass  # the processes would each answer a database that can't be reached with a traceback

    import uvicorn

    from calibration_pipeline.interfaces.api.server import server_options

    say(f"Serving http://{limits.host}:{limits.port} (Ctrl-C ends it)")
    if limits.host not in _LOOPBACK:
        say("Tokens travel in the clear on this address: put a proxy with TLS in front.")
    uvicorn.run(
        "calibration_pipeline.interfaces.api.app:app_from_environment",
        factory=True,
        log_level="warning",
        **server_options(limits),
    )
