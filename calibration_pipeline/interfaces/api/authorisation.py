"""Who calls, and what they may do.

The gate (`limits.py`) finds the caller before it reads a body; `require` on each route compares the
caller's role with what the route needs.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from fastapi import Request
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from calibration_pipeline.interfaces.api.errors import DATABASE_FAILURES, ApiError
from calibration_pipeline.records import ApiToken, Role
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.tokens import digest_of, note_use, valid_tokens

TOKENS_FRESH_SECONDS: Final = 1.0
"""How long a token that was revoked may go unnoticed, or that the database is back."""
UNKNOWN_SECONDS: Final = 0.1
"""Tokens are read for those that aren't known, which may be new ones, once in this time."""
USES_NOTED_SECONDS: Final = 60.0

TOKEN_HEADERS: Final = (b"authorization", b"x-internal-token")
"""Where a token may stand: the second is the R service's, whose callers needn't change."""
_LONGEST_TOKEN = 256


class RoleRequired(HTTPBearer):
    """A dependency that refuses callers without a role, and gives the caller's token."""

    def __init__(self, role: Role) -> None:
        super().__init__(
            scheme_name="token",
            description="A token that `calibrate tokens issue` made.",
            auto_error=False,
        )
        self.role = role

    async def __call__(self, request: Request) -> ApiToken:  # type: ignore[override]
        """Give the caller's token.

        Raises
        ------
        ApiError
            401 without a valid token, 403 where its role is too low.
        """
        caller = caller_of(request)
        if caller is None:
            raise unauthorised()
        if caller.role < self.role:
            raise ApiError(
                403,
                "FORBIDDEN",
                f"this needs the role {self.role.title}, and the token has {caller.role.title}: "
                "ask for another token",
            )
        return caller


def require(role: Role) -> RoleRequired:
    """Give the dependency that lets a role, and those above it, use a route.

    Use it as ``caller: Annotated[ApiToken, Security(require(Role.OPERATOR))]`` where the route
    needs to know who calls, else in the router's or route's `dependencies`.
    """
    return RoleRequired(role)


def caller_of(request: Request) -> ApiToken | None:
    """Give the token that the gate found valid; None for a call without one."""
    found: ApiToken | None = request.scope["state"].get("caller")
    return found


def unauthorised() -> ApiError:
    """Give the refusal of a call without a valid token: it doesn't say what is wrong with it."""
    return ApiError(
        401,
        "UNAUTHORIZED",
        "no valid token: send `Authorization: Bearer TOKEN` with one that was issued, has not "
        "expired and has not been revoked",
        {"www-authenticate": "Bearer"},
    )


def presented_token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Find the token that a request presents; None if there is none, or it can't be one."""
    for name, value in headers:
        if name not in TOKEN_HEADERS:
            continue
        token = value
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            if scheme.lower() != b"bearer":
                continue
        if 0 < len(token) <= _LONGEST_TOKEN and token.isascii():
            return token.strip().decode("ascii")
    return None


class TokenBook:
    """The tokens that haven't been revoked, read anew when they are a second old.

    All of them at once: a flood of wrong tokens costs the database ten queries a second from each
    process. Without a database nobody is let in, since a revocation couldn't be seen.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tokens: dict[str, ApiToken] = {}
        self._read_at = float("-inf")
        self._failure: tuple[float, Exception] | None = None
        self._reading = asyncio.Lock()
        self._used: set[int] = set()
        self._noted_at = float("-inf")

    async def find(self, token: str) -> ApiToken | None:
        """Give what is kept of a token; None if it isn't accepted now.

        Raises
        ------
        DatabaseUnavailableError
            The tokens can't be read.
        """
        digest = digest_of(token)
        await self._refresh(time.monotonic() - TOKENS_FRESH_SECONDS)
        if digest not in self._tokens:
            asked = time.monotonic()
            await asyncio.sleep(max(0.0, self._read_at + UNKNOWN_SECONDS - asked))
            await self._refresh(asked)
        found = self._tokens.get(digest)
        if found is None or not found.is_valid(datetime.now(UTC)):
            return None
        self._used.add(found.token_id)
        return found

    async def _refresh(self, since: float) -> None:
        """Read the tokens unless that has been done since a moment, which is in the past."""
        if self._read_at >= since:
            return
        async with self._reading:
            if self._read_at >= since:
                return  # another request has read them meanwhile
            if self._failure is not None and self._failure[0] >= since:
                # Who waited while the database was tried needn't wait as long again.
                raise self._failure[1].with_traceback(None)
            started = time.monotonic()
            try:
                self._tokens = await run_in_threadpool(valid_tokens, self._database)
            except DATABASE_FAILURES as error:
                self._failure = time.monotonic(), error
                raise
            self._read_at = started
            if self._used and started - self._noted_at > USES_NOTED_SECONDS:
                self._noted_at = started
                await self.note_uses()

    async def note_uses(self) -> None:
        """Write down which tokens have been used, if the database lets us."""
        used, self._used = self._used, set()
        if used:
            # It is for people to look at: nobody is refused because it can't be written.
            with suppress(*DATABASE_FAILURES):
                await run_in_threadpool(note_use, self._database, used)
