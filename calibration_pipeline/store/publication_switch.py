"""The switch that freezes publication: nights go on and mint versions, `current` stays."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.aliases import take_turn
from calibration_pipeline.store.tables import publication_switches


@dataclass(frozen=True)
class PublicationSwitch:
    """The newest decision on the switch, who made it, when and why."""

    is_frozen: bool
    reason: str
    decided_by: str
    decided_at: datetime

    def describe(self) -> str:
        """Say it in words; a part of a sentence."""
        state = "frozen" if self.is_frozen else "open"
        return (
            f"publication is {state} since {self.decided_at:%Y-%m-%d %H:%M %Z} by "
            f"{self.decided_by}: {self.reason}"
        )


def freeze(engine: sa.Engine, *, decided_by: str, reason: str) -> bool:
    """Keep `current` where it is, until `thaw`; a publication under way ends first.

    Returns
    -------
    bool
        False if publication was frozen already: the earlier decision stands.

    Raises
    ------
    BadInputError
        No reason was given.
    """
    return _switch(engine, decided_by, reason, is_frozen=True)


def thaw(engine: sa.Engine, *, decided_by: str, reason: str) -> bool:
    """Let `current` follow the nights again, from the next one on; see `freeze`."""
    return _switch(engine, decided_by, reason, is_frozen=False)


def _switch(engine: sa.Engine, decided_by: str, reason: str, *, is_frozen: bool) -> bool:
    if not reason.strip():
        raise BadInputError("freezing and thawing need a reason: say why with --reason")
    with engine.begin() as connection:
        take_turn(connection)
        if is_frozen == (frozen_by(connection) is not None):
            return False
        connection.execute(
            sa.insert(publication_switches).values(
                is_frozen=is_frozen, reason=reason, decided_by=decided_by
            )
        )
    return True


def read_switch(engine: sa.Engine) -> PublicationSwitch | None:
    """Read the newest decision; None if there never was one, and so publication is open."""
    with engine.connect() as connection:
        return _newest(connection)


def frozen_by(connection: sa.Connection) -> PublicationSwitch | None:
    """Give the decision that freezes publication, as the transaction sees it; None if open."""
    newest = _newest(connection)
    return newest if newest and newest.is_frozen else None


def _newest(connection: sa.Connection) -> PublicationSwitch | None:
    switch = publication_switches.c
    row = connection.execute(
        sa.select(switch.is_frozen, switch.reason, switch.decided_by, switch.recorded_at)
        .order_by(switch.switch_id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else PublicationSwitch(*row)
