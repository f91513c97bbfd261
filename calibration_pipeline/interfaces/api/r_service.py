"""`POST /calibrate`: the R calibration service's contract, so that its callers needn't change."""

from typing import Any

from fastapi import APIRouter, Request, Response, Security

from calibration_pipeline.interfaces.api.authorisation import require
from calibration_pipeline.interfaces.api.calculators import unless_gone
from calibration_pipeline.interfaces.api.contract_services import CalculatorsOf
from calibration_pipeline.interfaces.api.errors import ApiError, responses
from calibration_pipeline.interfaces.api.r_service_fit import calibrate
from calibration_pipeline.interfaces.api.r_service_schemas import (
    CalibrationRequest,
    CalibrationResult,
    TooManyObservationsError,
)
from calibration_pipeline.interfaces.api.services import ServicesOf
from calibration_pipeline.records import Role

router = APIRouter(tags=["The R service's contract"])


def _body_schema() -> dict[str, Any]:
    """Describe a body that no route reads: FastAPI would do it here, in the event loop."""
    schema = CalibrationRequest.model_json_schema()
    schema["properties"]["observations"]["items"] = schema.pop("$defs")["Observation"]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@router.post(
    "/calibrate",
    response_model=CalibrationResult,
    responses=responses(body=True),
    openapi_extra=_body_schema(),
    dependencies=[Security(require(Role.OPERATOR))],
)
async def calibrate_observations(
    request: Request, services: ServicesOf, calculators: CalculatorsOf
) -> Response:
    """Fit items and persons to the observations of the request; nothing is stored.

    The token may stand in `X-Internal-Token`, where the R service's callers send theirs. Fits are
    made in processes of their own, few at a time; 503 with `Retry-After` says that too many wait.
    """
    body = await request.body()
    work = calculators.run(calibrate, body, services.settings.policy)
    try:
        result = await unless_gone(request, work)
    except TooManyObservationsError as error:
        raise ApiError(413, "TOO_MANY_OBSERVATIONS", str(error)) from None
    return Response(result, media_type="application/json")


@router.get("/health", responses=responses(public=True))
async def health() -> dict[str, str]:
    """Say that the service answers. Needs no token; `/v1/ready` says whether it can work."""
    return {"status": "ok"}
