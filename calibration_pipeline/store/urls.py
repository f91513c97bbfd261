"""Database URLs: the spellings that people use, and the driver that a library needs."""

import re

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from calibration_pipeline.errors import BadInputError

_POSTGRES = frozenset({"postgres", "postgresql"})
_SECRET_PARAMETERS = frozenset({"password", "sslpassword"})


def to_psycopg3(url: str) -> str:
    """Give the URL for SQLAlchemy with psycopg 3, which our own store uses.

    Raises
    ------
    BadInputError
        It is not the URL of a PostgreSQL database.
    """
    return _with_driver(url, "psycopg")


def to_psycopg2(url: str) -> str:
    """Give the URL for SQLAlchemy with psycopg2, which dagster-postgres needs.

    Raises
    ------
    BadInputError
        It is not the URL of a PostgreSQL database.
    """
    return _with_driver(url, "psycopg2")


def to_libpq(url: str) -> str:
    """Give the URL as ``psql`` and other programs of PostgreSQL read it.

    Raises
    ------
    BadInputError
        It is not the URL of a PostgreSQL database.
    """
    return _with_driver(url, None)


def with_public_schema(url: str) -> str:
    """Give the URL with unqualified names resolved in schema ``public``, unless it has options.

    PostgreSQL looks in a schema named like the user first. A user ``calibration`` would have
    Dagster find our migrations' table where it expects its own.
    """
    parsed = _parse(url)
    if "options" in parsed.query:
        return url
    chosen = parsed.update_query_dict({"options": "-csearch_path=public"})
    return chosen.render_as_string(hide_password=False)


def redacted(url: str) -> str:
    """Give the URL for messages, its passwords replaced; an unreadable URL gives no part of it."""
    try:
        parsed = _parse(url)
    except BadInputError:
        return "(an unreadable URL)"
    hidden = {name: "***" for name in parsed.query if name in _SECRET_PARAMETERS}
    return parsed.update_query_dict(hidden).render_as_string(hide_password=True)


def _with_driver(url: str, driver: str | None) -> str:
    parsed = _parse(url).set(drivername="postgresql" if driver is None else f"postgresql+{driver}")
    return parsed.render_as_string(hide_password=False)


def _parse(url: str) -> URL:
    # No text of the URL is repeated: it may hold a password.
    if _is_ambiguous(url):
        raise _unreadable()
    try:
        parsed = make_url(url.strip())
    except (ArgumentError, ValueError):
        raise _unreadable() from None
    dialect = parsed.drivername.split("+")[0]
    if dialect not in _POSTGRES:
        raise BadInputError(
            f"The database URL is for {dialect!r}, and only PostgreSQL will do: "
            "write it as postgresql://USER:PASSWORD@HOST/DATABASE."
        )
    if not parsed.database:
        raise BadInputError(
            "The database URL names no database: "
            "write it as postgresql://USER:PASSWORD@HOST/DATABASE."
        )
    return parsed


def _is_ambiguous(url: str) -> bool:
    """Whether user and password could end at another ``@`` than the one where a library ends them.

    An ``@``, ``/``, ``?`` or ``#`` in a password that isn't percent-encoded: what stands behind it
    would pass for a host, a database or a parameter, and be named in messages.
    """
    authority, *rest = re.split("[/?#]", url.partition("://")[2], maxsplit=1)
    return authority.count("@") > 1 or any("@" in part for part in rest)


def _unreadable() -> BadInputError:
    return BadInputError(
        "The database URL can't be read: write it as postgresql://USER:PASSWORD@HOST/DATABASE, "
        "special characters in the password percent-encoded (@ is %40, / is %2F)."
    )
