"""`/v1/admin/exposure`: the question bank's contract for exposure control by hand."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Security
from starlette.concurrency import run_in_threadpool

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.api import exposure_contract_work as work
from calibration_pipeline.interfaces.api.authorisation import require
from calibration_pipeline.interfaces.api.calculators import unless_gone
from calibration_pipeline.interfaces.api.contract_services import CalculatorsOf
from calibration_pipeline.interfaces.api.errors import ApiError, responses
from calibration_pipeline.interfaces.api.exposure_contract_pool import (
    VERIFYING_CANDIDATES,
    content_families,
    pool_in_force,
    recent_answers,
)
from calibration_pipeline.interfaces.api.exposure_contract_schemas import (
    CalibrateExposure,
    Done,
    ExposureCalibrated,
    ExposureItemRow,
    SetProbability,
)
from calibration_pipeline.interfaces.api.services import Services, ServicesOf
from calibration_pipeline.policy.exposure_configuration import ExposureConfiguration
from calibration_pipeline.records import ApiToken, Role, ScaleExposure
from calibration_pipeline.store.exposure import write_exposure

Administrator = Annotated[ApiToken, Security(require(Role.ADMINISTRATOR))]

router = APIRouter(prefix="/v1/admin/exposure", tags=["The question bank's contract"])

_MOST_ROWS = 1_000_000
_SHOWN = 5


@router.get(
    "/items",
    responses=responses(404),
    dependencies=[Security(require(Role.ADMINISTRATOR))],
)
def list_items(
    services: ServicesOf,
    limit: Annotated[int, Query(ge=1, le=_MOST_ROWS, description="Of the items given.")] = 100,
) -> list[ExposureItemRow]:
    """List the items of the version in force, those with the most recent answers first."""
    found = pool_in_force(services.database)
    recent = recent_answers(services.database, services.settings)
    families = content_families(services.database)
    probability = {
        key: lowest
        for scale, pool in found.pools.items()
        for key, lowest in zip(
            pool.keys, found.probability(scale).min(axis=0).tolist(), strict=True
        )
    }
    ranked = sorted(probability, key=lambda key: (-recent[key], key))
    return [
        ExposureItemRow(
            question_id=_as_number(key[0]),
            version=key[1],
            topic_id=_as_number(families[key]) if key in families else None,
            sh_p=probability[key],
            recent_attempts=recent[key],
        )
        for key in ranked[:limit]
    ]


@router.post("/set", responses=responses(404, body=True))
async def set_probability(
    caller: Administrator,
    request: Request,
    services: ServicesOf,
    calculators: CalculatorsOf,
    asked: SetProbability,
) -> Done:
    """Set the probability of one item of the version in force, until the next search for them.

    What all probabilities reach then is simulated anew and stored with them.
    """
    key = str(asked.question_id), asked.version
    found = await run_in_threadpool(pool_in_force, services.database)
    scale = found.scale_of(key)
    if scale is None:
        raise ApiError(
            404,
            "ITEM_NOT_FOUND",
            f"version {found.version} of the parameters gives no such item in such a version",
        )
    task = found.standing_task(scale, services.settings.policy)
    arguments = (found.probability(scale), key, asked.sh_p, found.set_by_hand(scale))
    control = await unless_gone(request, calculators.run(work.set_by_hand, task, *arguments))
    await run_in_threadpool(_store, services, found.version, control, caller)
    return Done()


@router.post("/calibrate_sh", responses=responses(404, body=True))
async def calibrate_exposure(
    caller: Administrator,
    request: Request,
    services: ServicesOf,
    calculators: CalculatorsOf,
    asked: CalibrateExposure,
) -> ExposureCalibrated:
    """Find the probabilities of a scale's items by simulation, and wait for it.

    Sympson and Hetter's iterations, each test item being the most informative one that is open.
    They are stored for the version in force whether or not tau is reached, unless `dry_run`.
    """
    found = await run_in_threadpool(pool_in_force, services.database)
    if asked.exam_code not in found.pools:
        raise ApiError(404, "EXAM_NOT_FOUND", f"version {found.version} has no such scale")
    work.abilities_of(asked.theta_dist)  # refuses what can't be, before it takes a place
    task = work.ExposureTask(
        found.pools[asked.exam_code], exposure_of(asked), asked.tau, asked.theta_dist
    )
    control = await unless_gone(request, calculators.run(work.search, task))
    if not asked.dry_run:
        await run_in_threadpool(_store, services, found.version, control, caller)
    return ExposureCalibrated(
        stdout=_summary(control, found.version, stored=not asked.dry_run),
        version=found.version,
        stored=not asked.dry_run,
        is_reached=control.is_reached,
        worst_rate=control.worst_rate,
        worst_rate_without=control.worst_rate_without,
        items_held_back=control.items_held_back,
    )


def exposure_of(asked: CalibrateExposure) -> ExposureConfiguration:
    """Give the test and the search that a caller asks for.

    Raises
    ------
    BadInputError
        The floor lies above the ceiling.
    """
    try:
        return ExposureConfiguration(
            method="sympson-hetter",
            answers=asked.test_len,
            top=1,
            candidates=asked.n,
            verifying_candidates=VERIFYING_CANDIDATES,
            iterations=asked.iters,
            damping=asked.alpha,
            floor=asked.floor,
            ceiling=asked.ceil,
        )
    except ValueError as error:
        raise BadInputError(str(error)) from None


def _store(services: Services, version: int, control: ScaleExposure, caller: ApiToken) -> None:
    write_exposure(services.database, version, control, found_by=f"HTTP, {caller.name}")


def _summary(control: ScaleExposure, version: int, *, stored: bool) -> str:
    lowest = np.argsort(control.probability.min(axis=0), kind="stable")[:_SHOWN]
    held = ", ".join(f"{control.keys[j][0]} {control.probability[:, j].min():.3f}" for j in lowest)
    return (
        f"Version {version}, scale {control.scale}: {len(control.keys)} items, {control.cycles} "
        f"iterations.\nMost seen: {control.worst_rate:.1%} of persons "
        f"({control.worst_rate_without:.1%} without control), wanted {control.maximum_rate:.1%}."
        f"\nMost held back: {held}.\n{'Stored.' if stored else 'Dry run: nothing stored.'}\n"
    )


def _as_number(name: str) -> int | str:
    """Give a name that is a plain number as the number that callers sent."""
    return int(name) if name.isdecimal() and str(int(name)) == name and len(name) < 18 else name
