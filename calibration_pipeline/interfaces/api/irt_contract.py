"""`/api/irt`: the calibration service's contract, over nights and published versions."""

import time
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Security

from calibration_pipeline.errors import (
    CalibrationError,
    DatabaseUnavailableError,
    LockHeldError,
    MissingPrivilegeError,
    SchemaRevisionError,
)
from calibration_pipeline.interfaces.api.authorisation import require
from calibration_pipeline.interfaces.api.contract_services import NightsOf
from calibration_pipeline.interfaces.api.errors import ApiError, responses
from calibration_pipeline.interfaces.api.irt_contract_result import answer_of_run, parameters_of
from calibration_pipeline.interfaces.api.irt_contract_run import CalibrationCrashedError
from calibration_pipeline.interfaces.api.irt_contract_schemas import (
    IrtCalibrationAnswer,
    IrtCalibrationRequest,
    IrtParametersAnswer,
)
from calibration_pipeline.interfaces.api.services import ServicesOf
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import ApiToken, Role
from calibration_pipeline.store.calibrated_items import newest_calibration

OF_THE_SERVICE = (DatabaseUnavailableError, MissingPrivilegeError, SchemaRevisionError)
"""What ends in 503 wherever it comes from, with no word of the service's own affairs."""
FINEST_TOLERANCE = 1e-5
"""Tightest that a caller can make it: EM gets there, and what is below is noise."""
MOST_CYCLES = 500
"""Of EM, where a caller has made its tolerance tighter; the most that a caller may ask for."""

router = APIRouter(prefix="/api/irt", tags=["The calibration service's contract"])


@router.post("/calibrate", responses=responses(409, body=True))
def calibrate_pool(
    caller: Annotated[ApiToken, Security(require(Role.OPERATOR))],
    services: ServicesOf,
    nights: NightsOf,
    request: IrtCalibrationRequest | None = None,
) -> IrtCalibrationAnswer:
    """Calibrate the pool as the nightly schedule does, and wait for it: minutes, where much is due.

    The nights that are missing are run, up to yesterday; where none is, yesterday is run again on
    the answers that have come since. What is published is what the programme's own rules let be
    published. The run goes on if the caller hangs up; meanwhile others get 409.

    Errors: 400 VALIDATION_ERROR or INSUFFICIENT_DATA, 409 CALIBRATION_IN_PROGRESS,
    500 CALIBRATION_FAILED.
    """
    started = time.monotonic()
    asked = request or IrtCalibrationRequest()
    policy = policy_of(asked, services.settings.policy)
    settings = services.settings.model_copy(update={"policy": policy})
    try:
        run_id = nights.run(settings, services.database, f"HTTP, {caller.name}")
    except (*OF_THE_SERVICE, LockHeldError):
        raise
    except (CalibrationError, CalibrationCrashedError) as error:
        raise ApiError(500, "CALIBRATION_FAILED", f"the run has failed: {error}") from error
    seconds = time.monotonic() - started
    data = answer_of_run(services.database, run_id, asked, policy, seconds)
    return IrtCalibrationAnswer(data=data)


@router.get(
    "/parameters/{item_id:path}",
    responses=responses(404),
    dependencies=[Security(require(Role.READER))],
)
def read_parameters(
    item_id: Annotated[str, Path(min_length=1, max_length=200, description="As in the bank.")],
    services: ServicesOf,
) -> IrtParametersAnswer:
    """Give an item's calibrated values that are in force, from the night that found them.

    404 ITEM_NOT_FOUND where there are none: the item is unknown, or has its author's values still.
    """
    found = newest_calibration(services.database, item_id)
    if found is None:
        raise ApiError(
            404,
            "ITEM_NOT_FOUND",
            "the item has no calibrated parameters: it isn't in the bank, or has had too few "
            "answers so far",
        )
    return IrtParametersAnswer(data=parameters_of(found, services.settings.policy))


def policy_of(
    request: IrtCalibrationRequest, policy: CalibrationConfiguration
) -> CalibrationConfiguration:
    """Give the run's settings: a caller may ask for more care than the programme, never for less.

    Nor for so much that a night can't converge which otherwise would: it is the programme's night,
    and what it doesn't publish nobody gets. What was left out stays as the programme has it.
    """
    em, sent = policy.em, request.model_fields_set
    if "convergence_threshold" in sent:
        tolerance = min(em.tolerance, max(request.convergence_threshold, FINEST_TOLERANCE))
        if tolerance < em.tolerance:
            em = replace(
                em, tolerance=tolerance, maximum_cycles=max(em.maximum_cycles, MOST_CYCLES)
            )
    if "max_iterations" in sent:
        em = replace(em, maximum_cycles=max(em.maximum_cycles, request.max_iterations))
    return replace(policy, em=em)
