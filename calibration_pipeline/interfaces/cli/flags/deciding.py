"""``calibrate flags acknowledge``, ``dismiss``, ``retire`` and ``reopen``: a reviewer decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.cli.console import say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.flags.reading import FlagsNow, flags_now, named_item
from calibration_pipeline.interfaces.cli.operator import operator_name
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.records import FlagReview, ItemKey
    from calibration_pipeline.store.connection import Database

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _decision(command: _Command) -> _Command:
    """Give a command what every decision needs: the item, why, and who."""
    for decorate in (
        click.option("--decided-by", metavar="NAME", help="Who decides.  [default: your login]"),
        click.option("--reason", required=True, metavar="TEXT", help="Why, for the record."),
        click.argument("item"),
    ):
        command = decorate(command)
    return command


_flag = click.option("--flag", metavar="FLAG", help="One of the item's flags.  [default: all]")
_from = click.option(
    "--from",
    "first_night",
    type=click.DateTime(["%Y-%m-%d"]),
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
    _decide(item, flag, "acknowledge", ("open",), reason, decided_by)


@click.command()
@_decision
@_flag
def dismiss(item: str, reason: str, decided_by: str | None, flag: str | None) -> None:
    """Silence the flags of ITEM until their evidence grows, or until the item is edited.

    A dismissed flag opens again when its z is larger than now by
    CALIBRATION_POLICY__FLAGS__DISMISSAL_GROWTH.

    Example: calibrate flags dismiss item-0815 --flag misfit_outfit --reason "known: long text"
    """
    _decide(item, flag, "dismiss", ("open", "acknowledged"), reason, decided_by)


@click.command()
@_decision
@_from
def retire(item: str, reason: str, decided_by: str | None, first_night: datetime | None) -> None:
    """Retire ITEM: it is frozen as published, its old answers still tell abilities.

    Its flags wait for nobody from now on.

    Example: calibrate flags retire item-0815 --reason "answer is in a forum"
    """
    with configured_database() as database:
        key = named_item(database, item)
        if key in _retired(database):
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
        key = named_item(database, item)
        is_retired = key in _retired(database)
        if is_retired:
            night = _record_on_item(database, key, "reopen", reason, decided_by, first_night)
    if is_retired:
        say(f"{item} is calibrated again from the night of {night} on.")
        return
    _decide(item, flag, "reopen", ("acknowledged", "dismissed"), reason, decided_by)


def _decide(
    item: str,
    flag: str | None,
    decision: str,
    from_statuses: Sequence[str],
    reason: str,
    decided_by: str | None,
) -> None:
    """Record a decision on those of an item's flags that it can be made on."""
    with configured_database() as database:
        from calibration_pipeline.store.flag_decisions import record_decisions

        key = named_item(database, item)
        now = flags_now(database, key)
        chosen = _flags_to_decide(now, flag, from_statuses)
        if now.night is None or not chosen:
            what = f"flag {flag}" if flag else "flag"
            raise BadInputError(
                f"{item} has no {what} that is {' or '.join(from_statuses)}: "
                f"see `calibrate flags show {item}`"
            )
        record_decisions(
            database,
            [review.episode for review in chosen],
            decision,
            night=now.night,
            reason=reason,
            decided_by=decided_by or operator_name(),
        )
    names = ", ".join(review.episode.reason for review in chosen)
    say(f"{decision.capitalize()}: {names} of {item}, as of the night of {now.night}.")


def _flags_to_decide(
    now: FlagsNow, flag: str | None, from_statuses: Sequence[str]
) -> list[FlagReview]:
    return [
        review
        for review in now.reviews
        if review.status in from_statuses and flag in (None, review.episode.reason)
    ]


def _retired(database: Database) -> dict[ItemKey, date]:
    from calibration_pipeline.store.flag_decisions import read_retirements

    return read_retirements(database, date.max)


def _record_on_item(
    database: Database,
    key: ItemKey,
    decision: str,
    reason: str,
    decided_by: str | None,
    first_night: datetime | None,
) -> date:
    """Record a decision on the item itself; give the first night it holds for."""
    from calibration_pipeline.store.bank import record_decision
    from calibration_pipeline.store.history import newest_accepted_key

    if not reason.strip():
        raise BadInputError("a decision on an item needs a reason: say why with --reason")
    newest = newest_accepted_key(database, date.max)
    after = newest[0] + timedelta(days=1) if newest else load_settings().first_day
    night = first_night.date() if first_night else after
    record_decision(
        database,
        key,
        decision,
        effective_from=night,
        reason=reason,
        decided_by=decided_by or operator_name(),
    )
    return night
