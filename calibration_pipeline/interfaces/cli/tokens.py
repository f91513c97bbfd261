"""``calibrate tokens``: who may call the HTTP service."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table, say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.operator import operator_name

if TYPE_CHECKING:
    from calibration_pipeline.records import ApiToken

_COLUMNS = {
    "prefix": "Begins with",
    "role": "Role",
    "name": "Name",
    "standing": "Standing",
    "expires_at": "Expires",
    "last_used_at": "Last used",
}
_ROLES = ("reader", "operator", "administrator")


@click.group()
def tokens() -> None:
    """Issue and revoke the tokens with which programs call `calibrate api`.

    Example: calibrate tokens list
    """


@tokens.command()
@click.option("--name", required=True, help="Who is to hold it, or what for.")
@click.option(
    "--role",
    type=click.Choice(_ROLES),
    default="reader",
    show_default=True,
    help="What it may do; each role may do what those before it may.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=365,
    show_default=True,
    help="Days until it expires.",
)
@json_option
def issue(name: str, role: str, days: int, as_json: bool) -> None:
    """Issue a token. It is printed once: only its hash is kept.

    A reader reads versions, flags and runs; an operator starts calibrations and decides on flags;
    an administrator sets exposure control. The token alone goes to stdout.

    Example: calibrate tokens issue --name "exam engine" --role reader --days 180
    """
    with configured_database() as database:
        from calibration_pipeline.records import Role
        from calibration_pipeline.store.tokens import issue_token

        token, kept = issue_token(
            database,
            name=name,
            role=Role[role.upper()],
            issued_by=operator_name(),
            expires_at=datetime.now(UTC) + timedelta(days=days),
        )
    if as_json:
        print_json({"token": token} | _document(kept))
        return
    click.echo(token)
    say(
        f"Keep it now: it can't be shown again. {kept.name}, {kept.role.title}, "
        f"accepted until {kept.expires_at:%Y-%m-%d %H:%M} UTC; "
        f"to end it before: calibrate tokens revoke {kept.prefix}"
    )


@tokens.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the tokens, the newest first: how each begins, its role, and when it was last used.

    Example: calibrate tokens list --json
    """
    with configured_database() as database:
        from calibration_pipeline.store.tokens import list_tokens

        rows = [_document(token) for token in list_tokens(database)]
    if not as_json:
        for row in rows:
            for moment in ("expires_at", "last_used_at"):
                row[moment] = f"{row[moment]:%Y-%m-%d %H:%M}" if row[moment] else "never"
    empty = "No token has been issued yet: run `calibrate tokens issue --name NAME`."
    print_table(rows, _COLUMNS, as_json=as_json, empty=empty, whole=["prefix"])


@tokens.command()
@click.argument("prefix")
def revoke(prefix: str) -> None:
    """Revoke the token that begins with PREFIX, for good: it is refused within a second.

    Example: calibrate tokens revoke cal_Ab3dEf9h
    """
    with configured_database() as database:
        from calibration_pipeline.store.tokens import revoke_token

        revoked = revoke_token(database, prefix, revoked_by=operator_name())
    say(f"Revoked: {revoked.prefix} of {revoked.name}. Services refuse it within a second.")


def _document(token: ApiToken) -> dict[str, Any]:
    row = asdict(token)
    del row["digest"], row["token_id"]
    return row | {"role": token.role.title, "standing": _standing(token)}


def _standing(token: ApiToken) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "accepted" if token.is_valid(datetime.now(UTC)) else "expired"
