"""The OpenAPI document: what FastAPI writes, put right where the service answers otherwise."""

from typing import Any

from fastapi import FastAPI


def correct_openapi(app: FastAPI) -> None:
    """Leave out the answer 422 of every route: what can't be used ends in 400, like all errors."""
    written = app.openapi

    def corrected() -> dict[str, Any]:
        document = written()
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for unused in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(unused, None)
        return document

    app.openapi = corrected  # type: ignore[method-assign]
