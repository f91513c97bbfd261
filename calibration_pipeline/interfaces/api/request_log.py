"""One JSON line per request, and the id that every answer carries.

A line never has a token, a body or a query: it has who called by the token's first characters.
"""

import itertools
import json
import logging
import re
import sys
import time
import traceback
import uuid
from datetime import UTC, datetime
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calibration_pipeline.interfaces.api.errors import error_response, unexpected_error
from calibration_pipeline.records import ApiToken

LOGGER_NAME: Final = "calibration_pipeline.api"
SERVERS_LOG: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": f"{__name__}.JsonLines"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "json",
            "stream": "ext://sys.stderr",
        }
    },
    "loggers": {"uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False}},
}
"""What the server itself has to say, in the same lines: for `logging.config.dictConfig`."""
_HEADER: Final = b"x-request-id"
_PROCESS: Final = uuid.uuid4().hex[:20]
_NUMBERS: Final = itertools.count(1)
_USABLE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class JsonLines(logging.Formatter):
    """Writes what is logged as one line of JSON each."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line: a request's fields, or the text of any other message."""
        fields = getattr(record, "fields", None) or {"message": record.getMessage()}
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": moment, "level": record.levelname.lower(), **fields}
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_log() -> None:
    """Send the service's log to standard error; calling it again changes nothing."""
    logger = logging.getLogger(LOGGER_NAME)
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False


class RequestLog:
    """The outermost middleware: gives each request its id, logs how it ended, ends what failed.

    A caller's own `X-Request-ID` is taken over where it is plain (letters, digits, `.`, `_`, `-`).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = logging.getLogger(LOGGER_NAME)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope)
        # A dict of the request's own: what the lifespan left is shared by all requests.
        state = scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        ended: dict[str, int] = {}

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                ended["status"] = message["status"]
                message["headers"] = [*message["headers"], (_HEADER, request_id.encode())]
            elif scope["method"] != "HEAD":
                ended["bytes"] = ended.get("bytes", 0) + len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception as error:
            state["failure"] = f"{type(error).__name__} in the service"
            self._log.exception("request %s failed", request_id)
            if "status" not in ended:
                await error_response(scope, unexpected_error())(scope, receive, note)
        finally:
            self._write(scope, state, ended, time.perf_counter() - started)

    def _write(
        self, scope: Scope, state: dict[str, Any], ended: dict[str, int], seconds: float
    ) -> None:
        caller: ApiToken | None = state.get("caller")
        # Without a status the caller went away first.
        status = ended.get("status")
        fields = {
            "request_id": state["request_id"],
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "milliseconds": round(seconds * 1000, 2),
            "bytes": ended.get("bytes", 0),
            "client": (scope.get("client") or ("",))[0],
        }
        if caller is not None:
            fields |= {"token": caller.prefix, "caller": caller.name}
        if "failure" in state:
            fields["failure"] = state["failure"]
        # What passes by itself, such as a restart of the database, is no failure of the service.
        level = {500: logging.ERROR, 503: logging.WARNING}.get(status or 0, logging.INFO)
        self._log.log(level, "request", extra={"fields": fields})


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _HEADER and _USABLE_ID.fullmatch(value):
            found: bytes = value
            return found.decode("ascii")
    # Random once: a system call for each request would cost more than all the rest of this.
    return f"{_PROCESS}{next(_NUMBERS):012x}"
