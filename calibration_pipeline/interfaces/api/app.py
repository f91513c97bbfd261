"""The application: its routes, its gate, and what is open while it serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.interfaces.api import contracts
from calibration_pipeline.interfaces.api.authorisation import TokenBook
from calibration_pipeline.interfaces.api.errors import ApiError, install_error_handlers
from calibration_pipeline.interfaces.api.limits import Gate
from calibration_pipeline.interfaces.api.openapi import correct_openapi
from calibration_pipeline.interfaces.api.request_log import RequestLog, configure_log
from calibration_pipeline.interfaces.api.routes import flags, health, runs, versions
from calibration_pipeline.interfaces.api.services import Services
from calibration_pipeline.interfaces.api.version_library import VersionLibrary
from calibration_pipeline.settings import Settings, load_settings
from calibration_pipeline.store.connection import open_database
from calibration_pipeline.store.published import CURRENT

_DESCRIPTION = """
Published item parameters for test engines, what nights found, and calibrations on demand.

Every call but those of `/health`, `/v1/live` and `/v1/ready` needs a token with a role
(`calibrate tokens issue`): reader, operator or administrator; each may do what those before it may.
Every error has the body `{"data": null, "error": {"code", "message", "request_id"}}`.
""".strip()

ROUTERS = (versions.router, health.router, flags.router, runs.router, contracts.router)
"""Every router of the service; nothing is found by itself."""


def create_app(settings: Settings) -> FastAPI:
    """Build the application; nothing is opened before it starts to serve.

    Parameters
    ----------
    settings
        The operator's.
    """
    app = FastAPI(
        title="Item calibration",
        version=version("calibration-pipeline"),
        description=_DESCRIPTION,
        lifespan=_opened(settings),
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    install_error_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    correct_openapi(app)
    # The last one added is the outermost: every request is logged, refused ones too.
    app.add_middleware(Gate, limits=settings.api, tokens=lambda: app.state.services.tokens)
    app.add_middleware(RequestLog)
    return app


def app_from_environment() -> FastAPI:
    """Build the application from the environment, as each process of `calibrate api` does."""
    configure_log()
    app = create_app(load_settings())
    app.state.starts_calculators = True  # so that the first caller doesn't wait for them
    return app


def _opened(settings: Settings) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = await run_in_threadpool(_open, settings)
        app.state.services = services
        with suppress(ApiError, CalibrationError):  # so that no engine waits for it
            await services.versions.get(CURRENT)
        try:
            yield
        finally:
            await services.tokens.note_uses()
            services.database.dispose()

    return lifespan


def _open(settings: Settings) -> Services:
    url = settings.database_url
    database = open_database(
        None if url is None else url.get_secret_value(), settings.home, create=False
    )
    return Services(
        settings=settings,
        database=database,
        tokens=TokenBook(database),
        versions=VersionLibrary(database, settings.api.versions_in_memory),
    )
