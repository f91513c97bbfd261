"""Bodies of requests: read whole before a route begins, under limits of size, time and memory."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from starlette.types import Message, Receive, Scope

from calibration_pipeline.api_configuration import ApiConfiguration
from calibration_pipeline.interfaces.api.errors import ApiError

MEGABYTE: Final = 2**20
_LARGEST_AT_ONCE: Final = 8
"""Bodies of the largest size that a process keeps in memory at once."""
_LINGER_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 5


def has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Say whether a request comes with a body, by what its headers state."""
    for name, value in headers:
        if name == b"transfer-encoding":
            return True
        if name == b"content-length":
            return value != b"0"
    return False


class WholeBody:
    """Hands on a body that has been read, then what the server says afterwards."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self.size = len(body)
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        """Give the next message of the request."""
        if self._body is None:
            return await self._receive()
        message = {"type": "http.request", "body": self._body, "more_body": False}
        self._body = None
        return message


class Bodies:
    """Reads bodies, and counts what all of those in memory take.

    Parameters
    ----------
    limits
        Of size and time.
    """

    def __init__(self, limits: ApiConfiguration) -> None:
        self._most_bytes = limits.maximum_body_mb * MEGABYTE
        self._most_held = self._most_bytes * _LARGEST_AT_ONCE
        self._seconds = limits.body_timeout_seconds
        self._held = 0

    async def read(self, scope: Scope, receive: Receive) -> WholeBody | None:
        """Read a body whole; None where the caller has gone away.

        What is given counts as held until `release`.

        Raises
        ------
        ApiError
            408, 413, or 503 where others' bodies take all the memory there is for them.
        """
        stated = _content_length(scope)
        if stated is not None and stated > self._most_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._seconds):
                return await self._read(receive)
        except TimeoutError:
            raise ApiError(
                408,
                "BODY_TIMEOUT",
                f"the body didn't come within {self._seconds:g} s: send it at once",
            ) from None

    def release(self, body: WholeBody) -> None:
        """Count a body no longer: its request has been answered."""
        self._held -= body.size

    async def _read(self, receive: Receive) -> WholeBody | None:
        parts: list[bytes] = []
        size, is_whole = 0, False
        try:
            while not is_whole:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                self._held += len(parts[-1])
                if size > self._most_bytes:
                    raise self._too_large()
                if self._held > self._most_held:
                    raise _too_many()
                is_whole = not message.get("more_body", False)
        finally:
            if not is_whole:
                self._held -= size
        return WholeBody(b"".join(parts), receive)

    async def pass_over(self, receive: Receive) -> None:
        """Read on for a moment after a refusal.

        To hang up on what is still coming would reset the connection, and a reset may overtake the
        answer: who sends all before reading would never learn why.
        """
        size = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while size <= self._most_held:
                    message = await receive()
                    size += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return

    def _too_large(self) -> ApiError:
        limit = self._most_bytes // MEGABYTE
        return ApiError(
            413, "BODY_TOO_LARGE", f"the body is larger than {limit} MiB: send it in parts"
        )


def _too_many() -> ApiError:
    return ApiError(
        503,
        "BUSY",
        f"too many large bodies at once: try again in {_RETRY_SECONDS} s",
        {"retry-after": str(_RETRY_SECONDS)},
    )


def _content_length(scope: Scope) -> int | None:
    """The length that the headers state; None if they state none."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
    return None
