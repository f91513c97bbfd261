"""``calibrate snapshots freeze`` and ``thaw``: keep `current` where it is, and let it go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from calibration_pipeline.interfaces.cli.console import say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.operator import operator_name
from calibration_pipeline.interfaces.cli.snapshots.naming import CURRENT

if TYPE_CHECKING:
    from calibration_pipeline.store.connection import Database

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

    It doesn't move at once: where a newer version was minted meanwhile, the command says which, and
    what brings `current` there now.

    Example: calibrate snapshots thaw --reason "exams are over"
    """
    with configured_database() as database:
        from calibration_pipeline.store import publication_switch

        changed = publication_switch.thaw(database, decided_by=operator_name(), reason=reason)
        behind = _how_far_behind(database)
    say("Publication is open again." if changed else "Publication was not frozen.")
    if behind:
        say(behind)


def _how_far_behind(database: Database) -> str:
    """Say where `current` stands and what brings it forward; an empty string if it is newest."""
    from calibration_pipeline.store.snapshots import current_version, list_snapshots

    current = current_version(database)
    # By night first: what an old night gives when it is run again has a higher number all the same.
    newest = max(((v.partition, v.version) for v in list_snapshots(database)), default=None)
    if newest is None or newest[1] == current:
        return ""
    stands = "points at no version" if current is None else f"is at version {current}"
    expected = "" if current is None else f" --expect {current}"
    return (
        f"`{CURRENT}` {stands}, the newest is {newest[1]}: the next night that publishes moves it "
        f"on, `calibrate snapshots promote {newest[1]} --reason TEXT{expected}` does so now"
    )
