"""Tokens of the HTTP service: issued once, kept as hashes, revoked for good."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import ApiToken, Role
from calibration_pipeline.store.tables import api_tokens

_MARK = "cal_"
"""How every token begins, so that scanners for leaked secrets know one."""
_RANDOM_BYTES = 32
_PREFIX_LENGTH = 12


def digest_of(token: str) -> str:
    """Give the hash under which a token is kept.

    SHA-256, neither salted nor slow: those protect passwords, which can be guessed. A token is 256
    random bits, of which the kept prefix gives away 48; nobody finds the rest by trying.
    """
    return hashlib.sha256(token.encode()).hexdigest()


def issue_token(
    engine: sa.Engine, *, name: str, role: Role, issued_by: str, expires_at: datetime | None
) -> tuple[str, ApiToken]:
    """Make a token.

    Parameters
    ----------
    name
        Who is to hold it, or what for.
    expires_at
        From when on it isn't accepted; None: never.

    Returns
    -------
    tuple[str, ApiToken]
        The token, which is known here alone, and what is kept of it.

    Raises
    ------
    BadInputError
        The name is empty.
    """
    if not name.strip():
        raise BadInputError("a token needs a name: say who holds it, or what for")
    token = _MARK + secrets.token_urlsafe(_RANDOM_BYTES)
    row = {
        "prefix": token[:_PREFIX_LENGTH],
        "digest": digest_of(token),
        "role": role.title,
        "name": name.strip(),
        "issued_by": issued_by,
        "expires_at": expires_at,
    }
    insert = sa.insert(api_tokens).values(row).returning(*_COLUMNS)
    with engine.begin() as connection:
        return token, _token(connection.execute(insert).one())


def list_tokens(engine: sa.Engine) -> tuple[ApiToken, ...]:
    """Read all tokens, the newest first; revoked and expired ones too."""
    query = sa.select(*_COLUMNS).order_by(api_tokens.c.token_id.desc())
    with engine.connect() as connection:
        return tuple(_token(row) for row in connection.execute(query))


def revoke_token(engine: sa.Engine, prefix: str, *, revoked_by: str) -> ApiToken:
    """Revoke the token with this prefix, for good; once more does nothing.

    Raises
    ------
    BadInputError
        No token has it.
    """
    table = api_tokens.c
    update = (
        sa.update(api_tokens)
        .where(table.prefix == prefix[:_PREFIX_LENGTH])
        .values(
            revoked_at=sa.func.coalesce(table.revoked_at, sa.func.now()),
            revoked_by=sa.func.coalesce(table.revoked_by, revoked_by),
        )
        .returning(*_COLUMNS)
    )
    with engine.begin() as connection:
        row = connection.execute(update).one_or_none()
    if row is None:
        # What was typed may be a whole token: it isn't repeated.
        raise BadInputError(
            "no token begins like that: `calibrate tokens list` shows how each begins"
        )
    return _token(row)


def valid_tokens(engine: sa.Engine) -> dict[str, ApiToken]:
    """Read the tokens that are neither revoked nor expired, by their digests."""
    expires_at = api_tokens.c.expires_at
    is_valid = sa.or_(expires_at.is_(None), expires_at > sa.func.now())
    query = sa.select(*_COLUMNS).where(api_tokens.c.revoked_at.is_(None), is_valid)
    with engine.connect() as connection:
        return {row.digest: _token(row) for row in connection.execute(query)}


def note_use(engine: sa.Engine, token_ids: Collection[int]) -> None:
    """Note that some tokens have been used just now."""
    update = (
        sa.update(api_tokens)
        .where(api_tokens.c.token_id.in_(sorted(token_ids)))
        .values(last_used_at=sa.func.now())
    )
    with engine.begin() as connection:
        connection.execute(update)


_COLUMNS = tuple(column for column in api_tokens.c if column.name != "revoked_by")


def _token(row: sa.Row[tuple[object, ...]]) -> ApiToken:
    values = dict(row._mapping)
    return ApiToken(**values | {"role": Role[str(values["role"]).upper()]})
