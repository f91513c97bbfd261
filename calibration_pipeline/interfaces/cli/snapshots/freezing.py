"""``calibrate snapshots freeze`` and ``thaw``: keep `current` where it is, and let it go."""

import click

from calibration_pipeline.interfaces.cli.console import say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.operator import operator_name

_REASON = click.option("--reason", required=True, help="Why, for the record.")


@click.command()
@_REASON
def freeze(reason: str) -> None:
    """Freeze publication: nights go on and mint versions, `current` stays where it is.

    `calibrate snapshots promote` can move it all the same. The run log and `calibrate status` say
    that publication is frozen, since when, by whom and why.

    Example: calibrate snapshots freeze --reason "exam week"
    """
    with configured_database() as database:
        from calibration_pipeline.store import publication_switch

        changed = publication_switch.freeze(database, decided_by=operator_name(), reason=reason)
        switch = publication_switch.read_switch(database)
    if switch:
        say(f"{'Now' if changed else 'As before'}: {switch.describe()}")


@click.command()
@_REASON
def thaw(reason: str) -> None:
    """Let `current` follow the nights again, from the next one that publishes.

    It doesn't move at once: `calibrate snapshots promote` brings it to a version that was minted
    meanwhile.

    Example: calibrate snapshots thaw --reason "exams are over"
    """
    with configured_database() as database:
        from calibration_pipeline.store import publication_switch

        changed = publication_switch.thaw(database, decided_by=operator_name(), reason=reason)
    say("Publication is open again." if changed else "Publication was not frozen.")
