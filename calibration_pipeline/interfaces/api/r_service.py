"""`POST /calibrate`: the R calibration service's contract, so that its callers needn't change."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response, Security

from calibration_pipeline.interfaces.api.authorisation import require
from calibration_pipeline.interfaces.api.calculators import CallerGoneError, unless_gone
from calibration_pipeline.interfaces.api.contract_services import CalculatorsOf
from calibration_pipeline.interfaces.api.errors import ApiError, responses
from calibration_pipeline.interfaces.api.r_service_fit import (
    TooManyObservationsError,
    calibrate,
)
from calibration_pipeline.interfaces.api.r_service_schemas import (
    CalibrationRequest,
    CalibrationResult,
)
from calibration_pipeline.interfaces.api.services import ServicesOf
from calibration_pipeline.records import ApiToken, Role

router = APIRouter(tags=["The R service's contract"])

_CALLER_GONE = 499
"""What the log has of a request whose caller hung up; nobody gets it."""


def _body_schema(model: type[CalibrationRequest]) -> dict[str, Any]:
    """Describe a body that the route reads by itself."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    }
