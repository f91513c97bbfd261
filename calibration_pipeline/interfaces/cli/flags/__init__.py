"""``calibrate flags``: what waits for a reviewer, the evidence behind it, and decisions on it."""

import click

from calibration_pipeline.interfaces.cli.flags.deciding import acknowledge, dismiss, reopen, retire
from calibration_pipeline.interfaces.cli.flags.listing import list_flags
from calibration_pipeline.interfaces.cli.flags.showing import show


@click.group()
def flags() -> None:
    """Flags on items: what waits for a reviewer, the evidence, and what was decided.

    Example: calibrate flags list --new
    """


for command in (list_flags, show, acknowledge, dismiss, retire, reopen):
    flags.add_command(command)
