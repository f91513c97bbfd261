"""``calibrate snapshots``: published versions, how they differ, and which one is in force."""

import click

from calibration_pipeline.interfaces.cli.snapshots.comparing import diff
from calibration_pipeline.interfaces.cli.snapshots.freezing import freeze, thaw
from calibration_pipeline.interfaces.cli.snapshots.inspecting import drafts
from calibration_pipeline.interfaces.cli.snapshots.moving import moves, promote
from calibration_pipeline.interfaces.cli.snapshots.reading import export, list_versions, show


@click.group()
def snapshots() -> None:
    """Published versions of the bank's parameters: what they hold, and which one is in force.

    Example: calibrate snapshots list
    """


for command in (list_versions, show, diff, export, promote, moves, freeze, thaw, drafts):
    snapshots.add_command(command)
