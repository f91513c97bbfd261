"""``calibrate flags acknowledge``, ``dismiss``, ``retire`` and ``reopen``: a reviewer decides."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.cli.completing import flag_reasons, item_ids
from calibration_pipeline.interfaces.cli.console import say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.days import DAY
from calibration_pipeline.interfaces.cli.flags.reading import named_item
from calibration_pipeline.interfaces.cli.operator import operator_name
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.records import ItemKey
    from calibration_pipeline.store.connection import Database

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _decision(command: _Command) -> _Command:
    """Give a command what every decision needs: the item, why, and who."""
    for decorate in (
        click.option("--decided-by", metavar="NAME", help="Who decides.  [default: your login]"),
        click.option("--reason", required=True, metavar="TEXT", help="Why, for the record."),
        click.argument("item", shell_complete=item_ids),
    ):
        command = decorate(command)
    return command


_flag = click.option(
    "--flag",
    metavar="FLAG",
    shell_complete=flag_reasons,
    help="One of the item's flags.  [default: all]",
)
_from = click.option(
    "--from",
    "first_night",
    type=DAY,
    help="First night it holds for.  [default: the one after the newest]",
)


@click.command()
@_decision
@_flag
def acknowledge(item: str, reason: str, decided_by: str | None, flag: str | None) -> None:
    """Say that the open flags of ITEM have been seen: they stay open, and wait for nobody.

    It holds for as long as these flags last; a later one is new again.

    Example: calibrate flags acknowledge item-0815 --reason "content team asked"
    """
    _decide(item, flag, "acknowledge", reason, decided_by)


@click.command()
@_decision
@_flag
def dismiss(item: str, reason: str, decided_by: str | None, flag: str | None) -> None:
    """Silence the flags of ITEM until their evidence grows, or until the item is edited.

    A dismissed flag opens again when its z is larger than now by
    CALIBRATION_POLICY__FLAGS__DISMISSAL_GROWTH.

    Example: calibrate flags dismiss item-0815 --flag misfit_outfit --reason "known: long text"
    """
    _decide(item, flag, "dismiss", reason, decided_by)


@click.command()
@_decision
@_from
def retire(item: str, reason: str, decided_by: str | None, first_night: datetime | None) -> None:
    """Retire ITEM: it is frozen as published, its old answers still tell abilities.

    Its flags wait for nobody from now on.

    Example: calibrate flags retire item-0815 --reason "answer is in a forum"
    """
    with configured_database() as database:
        from calibration_pipeline.interfaces.flag_reviews import is_retired

        key = named_item(database, item)
        if is_retired(database, key):
            raise BadInputError(f"{item} is retired already: see `calibrate flags show {item}`")
        night = _record_on_item(database, key, "retire", reason, decided_by, first_night)
    say(f"{item} is retired from the night of {night} on.")


@click.command()
@_decision
@_flag
@_from
def reopen(
    item: str,
    reason: str,
    decided_by: str | None,
    flag: str | None,
    first_night: datetime | None,
) -> None:
    """Take decisions on ITEM back: its retirement, or else what was decided on its flags.

    Example: calibrate flags reopen item-0815 --reason "dismissed by mistake"
    """
    with configured_database() as database:
        from calibration_pipeline.interfaces.flag_reviews import is_retired

        key = named_item(database, item)
        was_retired = is_retired(database, key)
        if was_retired:
            night = _record_on_item(database, key, "reopen", reason, decided_by, first_night)
    if was_retired:
        say(f"{item} is calibrated again from the night of {night} on.")
        return
    _decide(item, flag, "reopen", reason, decided_by)


def _decide(
    item: str, flag: str | None, decision: str, reason: str, decided_by: str | None
) -> None:
    """Record a decision on those of an item's flags that it can be made on."""
    with configured_database() as database:
        from calibration_pipeline.interfaces.flag_reviews import decide_on_flags

        key = named_item(database, item)
        night, decided = decide_on_flags(
            database,
            load_settings().policy,
            key,
            decision,
            flag=flag,
            reason=reason,
            decided_by=decided_by or operator_name(),
        )
    say(f"{decision.capitalize()}: {', '.join(decided)} of {item}, as of the night of {night}.")


def _record_on_item(
    database: Database,
    key: ItemKey,
    decision: str,
    reason: str,
    decided_by: str | None,
    first_night: datetime | None,
) -> date:
    """Record a decision on the item itself; give the first night it holds for."""
    from calibration_pipeline.interfaces.flag_reviews import decide_on_item

    return decide_on_item(
        database,
        key,
        decision,
        reason=reason,
        decided_by=decided_by or operator_name(),
        first_night=first_night.date() if first_night else None,
        first_day=load_settings().first_day,
    )
