"""What the contracts of other services work with, opened and closed with the service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from starlette.concurrency import run_in_threadpool

from calibration_pipeline.interfaces.api.calculators import Calculators
from calibration_pipeline.interfaces.api.irt_contract_run import NightRuns
from calibration_pipeline.interfaces.api.r_service_fit import prepare


@dataclass(frozen=True)
class ContractServices:
    """One set per process.

    Attributes
    ----------
    calculators
        Processes that fit and simulate.
    nights
        Runs of the nightly job.
    """

    calculators: Calculators
    nights: NightRuns


@asynccontextmanager
async def opened(app: FastAPI) -> AsyncIterator[None]:
    """Open them for as long as the service lives, within the lifespan of its own services.

    Where ``app.state.starts_calculators`` is set the processes are made ready at once, in the
    background; otherwise the first calculation waits for them.
    """
    limits = app.state.services.settings.api
    calculators = Calculators(limits.calculators, limits.calculations_waiting, prepare)
    found = ContractServices(calculators, NightRuns())
    app.state.contracts = found
    if getattr(app.state, "starts_calculators", False):
        calculators.start()
    try:
        yield
    finally:
        calculators.close()
        await run_in_threadpool(found.nights.close)


async def calculators_of(request: Request) -> Calculators:
    """Give the process' calculators to a route."""
    found: ContractServices = request.app.state.contracts
    return found.calculators


async def nights_of(request: Request) -> NightRuns:
    """Give the process' runs of nights to a route."""
    found: ContractServices = request.app.state.contracts
    return found.nights


CalculatorsOf = Annotated[Calculators, Depends(calculators_of)]
NightsOf = Annotated[NightRuns, Depends(nights_of)]
