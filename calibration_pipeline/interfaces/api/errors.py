"""How a request is refused: one body for every error, and a status for every kind of it.

No traceback, no statement and no secret is in an answer; the request's id leads to the log.
"""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Scope

from calibration_pipeline.errors import (
    BadInputError,
    CalibrationError,
    DamagedVersionError,
    DatabaseUnavailableError,
    LockHeldError,
    MissingPrivilegeError,
    NothingPublishedError,
    PublicationConflictError,
    SchemaRevisionError,
)
from calibration_pipeline.interfaces.api.schemas.common import ErrorBody
from calibration_pipeline.store.connection import PASSING_DATABASE_ERRORS

_TRY_AGAIN: Final = {"retry-after": "5"}
DATABASE_FAILURES: Final[tuple[type[Exception], ...]] = (CalibrationError, *PASSING_DATABASE_ERRORS)
"""What a call to the store may end in where its database is lost, busy or not ours."""
_WITH_DETAIL: Final = "/v1/admin/exposure/"
"""The question bank's callers look for the message of an error in `detail`."""


class ApiError(Exception):
    """Ends a request with a status, a code for programs and a sentence for people.

    Parameters
    ----------
    status
        HTTP status; the route must declare it (`responses`).
    code
        In capitals, such as ITEM_NOT_FOUND. It never changes for the same kind of error.
    message
        One sentence: what is wrong and what to do.
    headers
        For the answer.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})


_DESCRIPTIONS: Final = {
    400: "The request can't be read, or a value in it can't be used.",
    401: "There is no token, or it isn't accepted: it is wrong, expired or revoked.",
    403: "The token's role may not do this.",
    404: "There is no such thing.",
    406: "None of the formats that the request accepts can be given.",
    408: "The body didn't come in time.",
    409: "It can't be done as things stand now.",
    413: "The body is too large.",
    429: "Too many requests: wait for as many seconds as `Retry-After` says.",
    500: "The service failed; its log has the reason under the request's id.",
    503: "The service can't reach what it needs, or is full: try again later.",
}
_EVERYWHERE: Final = (400, 401, 403, 429, 500, 503)


def responses(*statuses: int, public: bool = False, body: bool = False) -> dict[int | str, Any]:
    """Give the errors that a route declares, for its parameter `responses`.

    Parameters
    ----------
    statuses
        Those of its own, such as 404.
    public
        It needs no token.
    body
        It has a request body.
    """
    chosen = set(_EVERYWHERE) | set(statuses) | ({408, 413} if body else set())
    if public:
        chosen -= {401, 403}
    return {
        status: {"model": ErrorBody, "description": _DESCRIPTIONS[status]}
        for status in sorted(chosen)
    }


def request_id(scope: Scope) -> str:
    """Give the id that the log knows a request by."""
    found: str = scope.get("state", {}).get("request_id", "")
    return found


def error_response(scope: Scope, error: ApiError) -> JSONResponse:
    """Give the answer that an error ends in."""
    detail = {"code": error.code, "message": error.message, "request_id": request_id(scope)}
    body: dict[str, Any] = {"data": None, "error": detail}
    if scope["path"].startswith(_WITH_DETAIL):
        body["detail"] = error.message
    headers = {"cache-control": "no-store"} | error.headers
    return JSONResponse(body, status_code=error.status, headers=headers)


def as_api_error(error: CalibrationError) -> ApiError:
    """Give the status and the code of an error that a person can mend.

    What concerns the service's own database isn't the caller's business: the log has it.
    """
    match error:
        case BadInputError():
            return ApiError(400, "VALIDATION_ERROR", str(error))
        case NothingPublishedError():
            return ApiError(404, "NOTHING_PUBLISHED", str(error))
        case LockHeldError():
            return ApiError(409, "CALIBRATION_IN_PROGRESS", str(error))
        case PublicationConflictError():
            return ApiError(409, "CONFLICT", str(error))
        case DatabaseUnavailableError():
            text = "the database can't be reached: try again in some seconds"
            return ApiError(503, "DATABASE_UNAVAILABLE", text, _TRY_AGAIN)
        case SchemaRevisionError() | MissingPrivilegeError():
            text = "the service isn't set up for its database: its log says what is missing"
            return ApiError(503, "NOT_READY", text, _TRY_AGAIN)
        case DamagedVersionError():
            return ApiError(500, "VERSION_DAMAGED", str(error))
        case _:
            return ApiError(409, "REFUSED", str(error))


def database_busy() -> ApiError:
    """Give what a caller hears of a database that is stopped, busy or out of room."""
    text = "the database can't do this now: try again in some seconds"
    return ApiError(503, "DATABASE_UNAVAILABLE", text, _TRY_AGAIN)


def unexpected_error() -> ApiError:
    """Give what a caller hears of an error that nobody foresaw."""
    return ApiError(500, "INTERNAL_ERROR", "the service failed: its log has the reason")


_HTTP_CODES: Final = {400: "VALIDATION_ERROR", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}


def install_error_handlers(app: FastAPI) -> None:
    """Let every error of a route end in the one body."""

    @app.exception_handler(ApiError)
    async def _own(request: Request, error: ApiError) -> JSONResponse:
        if error.status >= 500:
            request.state.failure = f"{error.code}: {error.message}"
        return error_response(request.scope, error)

    @app.exception_handler(CalibrationError)
    async def _programme(request: Request, error: CalibrationError) -> JSONResponse:
        request.state.failure = f"{type(error).__name__}: {error}"
        return error_response(request.scope, as_api_error(error))

    async def _database(request: Request, error: Exception) -> JSONResponse:
        request.state.failure = f"{type(error).__name__} of the database"
        return error_response(request.scope, database_busy())

    for kind in PASSING_DATABASE_ERRORS:
        app.add_exception_handler(kind, _database)

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
        text = _first(error)
        if error.errors()[0]["loc"] == ("body",) and not _is_json(request):
            text = "body: send it as JSON, with the header `Content-Type: application/json`"
        return error_response(request.scope, ApiError(400, "VALIDATION_ERROR", text))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        code = _HTTP_CODES.get(error.status_code, "REFUSED")
        refused = ApiError(error.status_code, code, str(error.detail), error.headers)
        return error_response(request.scope, refused)


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _first(error: RequestValidationError) -> str:
    """Say where the first thing is that can't be used, and why; what was sent isn't repeated."""
    first = error.errors()[0]
    place = ".".join(str(step) for step in first["loc"] if step != "body") or "body"
    reason = first.get("ctx", {}).get("error", "") if first["type"] == "json_invalid" else ""
    return f"{place}: {first['msg']}{f' ({reason})' if reason else ''}"
