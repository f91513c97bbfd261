"""``calibrate priors``: what calibrated items teach about new ones."""

import click

from calibration_pipeline.interfaces.cli.priors.fitting import fit
from calibration_pipeline.interfaces.cli.priors.showing import list_fits, show


@click.group()
def priors() -> None:
    """Priors of new items, learned from calibrated ones every week or on demand.

    Example: calibrate priors list
    """


for command in (list_fits, fit, show):
    priors.add_command(command)
