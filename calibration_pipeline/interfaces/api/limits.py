"""The gate in front of every route: who calls, how often, and with how large and slow a body.

In this order, so that what is refused costs little: a call without a valid token is answered before
its body is read; a body is read whole, under a limit of size and time, before a route begins. A
caller that goes away in the middle of its body has started nothing.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from calibration_pipeline.api_configuration import ApiConfiguration
from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.interfaces.api.authorisation import (
    TokenBook,
    presented_token,
    unauthorised,
)
from calibration_pipeline.interfaces.api.bodies import Bodies, WholeBody, has_body
from calibration_pipeline.interfaces.api.errors import (
    ApiError,
    as_api_error,
    database_busy,
    error_response,
)
from calibration_pipeline.store.connection import PASSING_DATABASE_ERRORS

PUBLIC_PATHS: Final = frozenset({"/health", "/v1/live", "/v1/ready"})
"""What probes of a cluster call, which hold no token."""

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_BURST_SECONDS: Final = 2.0
_MOST_BUCKETS: Final = 10_000


class Rates:
    """Token buckets by key: so many requests a second, and twice as many at once."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._most = max(per_second * _BURST_SECONDS, 1.0)
        self._clock = clock
        self._left: OrderedDict[object, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def take(self, key: object) -> float:
        """Take one request; give 0, or the seconds to wait where there is none left."""
        now = self._clock()
        left, then = self._left.pop(key, (self._most, now))
        left = min(self._most, left + (now - then) * self._per_second)
        is_free = left >= 1.0
        self._left[key] = (left - 1.0 if is_free else left, now)
        if len(self._left) > _MOST_BUCKETS:
            self._left.popitem(last=False)
        return 0.0 if is_free else (1.0 - left) / self._per_second


class Gate:
    """The middleware.

    Parameters
    ----------
    limits
        Sizes, times and rates.
    tokens
        Gives the book of tokens, which is opened when the service starts.
    """

    def __init__(
        self, app: ASGIApp, limits: ApiConfiguration, tokens: Callable[[], TokenBook]
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._bodies = Bodies(limits)
        self._reads = Rates(limits.reads_per_second)
        self._writes = Rates(limits.writes_per_second)
        self._refusals = Rates(limits.refusals_per_second)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through to its route, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body: WholeBody | None = None
        try:
            await self._admit(scope)
            if has_body(scope["headers"]):
                body = await self._bodies.read(scope, receive)
                if body is None:
                    return  # the caller has gone away
        except ApiError as error:
            await self._refuse(error, scope, receive, send)
            return
        except CalibrationError as error:
            scope["state"]["failure"] = f"{type(error).__name__}: {error}"
            await self._refuse(as_api_error(error), scope, receive, send)
            return
        except PASSING_DATABASE_ERRORS as error:
            scope["state"]["failure"] = f"{type(error).__name__} of the database"
            await self._refuse(database_busy(), scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # the server leaves out the body, as it must
        try:
            await self._app(scope, body or receive, send)
        finally:
            if body is not None:
                self._bodies.release(body)

    async def _refuse(self, error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
        response = error_response(scope, error)
        if not has_body(scope["headers"]):
            await response(scope, receive, send)
            return
        response.headers["connection"] = "close"  # what is left of its body isn't used
        start = {"status": response.status_code, "headers": response.raw_headers}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        await self._bodies.pass_over(receive)
        await send({"type": "http.response.body", "body": b""})

    async def _admit(self, scope: Scope) -> None:
        """Find the caller and count the request.

        Raises
        ------
        ApiError
            400, 401 or 429.
        """
        is_public = scope["path"] in PUBLIC_PATHS
        token = None if is_public else presented_token(scope["headers"])
        caller = None if token is None else await self._tokens().find(token)
        scope["state"]["caller"] = caller
        if caller is None:
            # Apart, so that nobody who tries tokens makes a probe fail.
            self._count(self._refusals, ((scope.get("client") or ("",))[0], is_public))
            if not is_public:
                raise unauthorised()
            return
        rates = self._reads if scope["method"] in _READS else self._writes
        self._count(rates, caller.token_id)
        if "\0" in scope["path"]:
            raise ApiError(400, "VALIDATION_ERROR", "the path has a zero byte: no name has one")

    @staticmethod
    def _count(rates: Rates, key: object) -> None:
        wait = rates.take(key)
        if wait > 0.0:
            raise ApiError(
                429,
                "RATE_LIMITED",
                f"too many requests: wait {math.ceil(wait)} s",
                {"retry-after": str(math.ceil(wait))},
            )
