"""Whether the service lives, and whether it can do its work: for a cluster's probes."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from calibration_pipeline.interfaces.api.errors import DATABASE_FAILURES, responses
from calibration_pipeline.interfaces.api.schemas.health import Liveness, Readiness
from calibration_pipeline.interfaces.api.services import Services, ServicesOf
from calibration_pipeline.store.schema import require_current_revision
from calibration_pipeline.store.snapshots import current_version, read_manifest

router = APIRouter(prefix="/v1", tags=["health"])


@router.get("/live", responses=responses(public=True))
async def live() -> Liveness:
    """Say that the process answers; nothing else is asked. Needs no token."""
    return Liveness(status="alive")


@router.get(
    "/ready",
    responses=responses(public=True)
    | {503: {"model": Readiness, "description": "It can't do its work, and why."}},
)
def ready(request: Request, services: ServicesOf, response: Response) -> Readiness:
    """Say whether the database answers and has the tables of this program. Needs no token.

    Nor is it ready in the seconds after its start in which the processes that calculate are loaded.

    A pool without a published version is ready, too: it may wait for its first night. Its age is
    for an alarm.
    """
    found = _readiness(services)
    if found.is_ready and request.app.state.contracts.calculators.are_starting:
        found = found.model_copy(update={"is_ready": False, "reason": "CalculatorsStarting"})
    response.status_code = 200 if found.is_ready else 503
    response.headers["cache-control"] = "no-store"
    return found


def _readiness(services: Services) -> Readiness:
    try:
        require_current_revision(services.database)
        number = current_version(services.database)
        if number is None:
            return Readiness(is_ready=True, reason="")
        published_at = read_manifest(services.database, number).published_at
    except DATABASE_FAILURES as error:
        # The message may name the database's host: the log has it.
        return Readiness(is_ready=False, reason=type(error).__name__)
    age = datetime.now(UTC) - published_at
    return Readiness(
        is_ready=True,
        reason="",
        current_version=number,
        published_at=published_at,
        age_seconds=round(age.total_seconds()),
    )
