"""``calibrate anchors``: the items that hold the scale: selected, compared, put in force."""

import click

from calibration_pipeline.interfaces.cli.anchors.activating import activate
from calibration_pipeline.interfaces.cli.anchors.comparing import diff
from calibration_pipeline.interfaces.cli.anchors.selecting import select
from calibration_pipeline.interfaces.cli.anchors.showing import list_sets, show


@click.group()
def anchors() -> None:
    """Anchor sets: the items that hold the scale, at their reference values.

    Selecting proposes a set, activating puts it in force.

    Example: calibrate anchors list
    """


for command in (list_sets, select, show, diff, activate):
    anchors.add_command(command)
