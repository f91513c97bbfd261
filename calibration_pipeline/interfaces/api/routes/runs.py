"""The run log: who ran which night with what, and how it ended."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Security

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.api.authorisation import require
from calibration_pipeline.interfaces.api.errors import ApiError, responses
from calibration_pipeline.interfaces.api.schemas.runs import Run, RunPage, RunSummary
from calibration_pipeline.interfaces.api.services import ServicesOf
from calibration_pipeline.records import Role
from calibration_pipeline.store.run_log import list_runs, read_run

router = APIRouter(prefix="/v1/runs", tags=["runs"], dependencies=[Security(require(Role.READER))])


@router.get("", responses=responses())
def list_the_runs(
    services: ServicesOf,
    night: Annotated[
        date | None, Query(description="Only the tries at this night (ISO 8601).")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="The newest so many.")] = 50,
) -> RunPage:
    """List runs, the newest first."""
    found = list_runs(services.database, night=night, limit=limit)
    names = RunSummary.model_fields
    return RunPage(
        runs=[
            RunSummary.model_validate({name: getattr(run, name) for name in names}) for run in found
        ]
    )


@router.get("/{run_id}", responses=responses(404))
def show_run(
    services: ServicesOf, run_id: Annotated[UUID, Path(description="The run's id.")]
) -> Run:
    """Give one run, with the settings and the packages it ran with."""
    try:
        found = read_run(services.database, str(run_id))
    except BadInputError:
        raise ApiError(404, "RUN_NOT_FOUND", "there is no such run: GET /v1/runs lists them") from (
            None
        )
    return Run.model_validate({name: getattr(found, name) for name in Run.model_fields})
