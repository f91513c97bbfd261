"""``calibrate alerts``: who is told when something is wrong."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import click

from calibration_pipeline.alerts.alert import Alert
from calibration_pipeline.alerts.choosing import choose_alerts
from calibration_pipeline.interfaces.cli.console import json_option, print_table
from calibration_pipeline.settings import load_settings


@click.group()
def alerts() -> None:
    """Alerts on failed runs and overdue nights, which Dagster's daemon raises.

    Example: calibrate alerts test
    """


@alerts.command("test")
@json_option
def send_test(as_json: bool) -> None:
    """Send a test alert to every sink that the settings name, and say what came of it.

    Exit code 1 when one of them couldn't be told. Neither the address of a webhook nor a password
    is shown.

    Example: calibrate alerts test --json
    """
    configuration = load_settings().alert
    text = f"a test from {socket.gethostname()}; nothing is wrong, and nobody has to do anything"
    alert = Alert("test", text, configuration.ui_url or "", datetime.now(UTC))
    outcome = choose_alerts(configuration).tell(alert)
    print_table(
        [{"sink": name, "delivered": not why, "reason": why} for name, why in outcome.items()],
        {"sink": "Sink", "delivered": "Delivered", "reason": "Why not"},
        as_json=as_json,
        empty="CALIBRATION_ALERT__SINKS is off: nobody is told of anything.",
    )
    if any(outcome.values()):
        raise click.exceptions.Exit(1)
