"""Answers that a caller may keep: validators, 304, and for how long."""

from typing import Final

from fastapi import Request, Response

from calibration_pipeline.interfaces.api.version_library import Encoded, EncodedVersion

FOREVER: Final = "private, max-age=31536000, immutable"
"""For what was asked for by a version's number: it never changes, and isn't for shared caches."""
ASK_AGAIN: Final = "private, no-cache"
"""For what was asked for by an alias: kept, but asked for again each time, with its ETag."""


def answer(
    request: Request,
    named: str,
    version: EncodedVersion,
    encoded: Encoded,
    *,
    media_type: str = "application/json",
    encoding: str | None = None,
    vary: str | None = None,
) -> Response:
    """Give the encoded bytes, or 304 where the caller has them.

    Parameters
    ----------
    named
        How the caller named the version: by number, or by an alias.
    encoding
        Of the bytes, such as gzip.
    vary
        Headers of the request that chose these bytes among others.
    """
    headers = {
        "etag": encoded.etag,
        "cache-control": FOREVER if named.isdecimal() else ASK_AGAIN,
        "x-calibration-version": str(version.number),
    }
    if vary is not None:
        headers["vary"] = vary
    if is_known(request.headers.get("if-none-match"), encoded.etag):
        return Response(status_code=304, headers=headers)
    if encoding is not None:
        headers["content-encoding"] = encoding
    return Response(encoded.body, media_type=media_type, headers=headers)


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Say whether a caller's `If-None-Match` names these bytes."""
    if if_none_match is None:
        return False
    names = [name.strip() for name in if_none_match.split(",")]
    return "*" in names or etag in [name.removeprefix("W/") for name in names]


def accepts(header: str | None, name: str) -> bool:
    """Say whether an Accept-Encoding header allows a coding: `name`, or `*`, not at `q=0`."""
    allowed: dict[str, bool] = {}
    for part in (header or "").split(","):
        coding, _, parameters = part.partition(";")
        weight = parameters.replace(" ", "").removeprefix("q=")
        allowed[coding.strip().lower()] = weight.rstrip("0").rstrip(".") not in ("", "0") or (
            not parameters
        )
    return allowed.get(name, allowed.get("*", False))
