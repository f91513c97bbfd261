"""What routes work with: one set per process, opened when it starts."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from calibration_pipeline.interfaces.api.authorisation import TokenBook
from calibration_pipeline.interfaces.api.version_library import VersionLibrary
from calibration_pipeline.settings import Settings
from calibration_pipeline.store.connection import Database


@dataclass(frozen=True)
class Services:
    """What is open while a process serves.

    Attributes
    ----------
    settings
        The operator's.
    database
        A pool of connections; use it in a route that is a plain `def`, which runs in a thread.
    tokens
        Who may call.
    versions
        Published versions, encoded.
    """

    settings: Settings
    database: Database
    tokens: TokenBook
    versions: VersionLibrary


async def services_of(request: Request) -> Services:
    """Give the process' services to a route; a plain `def` would cost a hop to a thread."""
    found: Services = request.app.state.services
    return found


ServicesOf = Annotated[Services, Depends(services_of)]
"""Annotation of a route's parameter that takes the services."""
