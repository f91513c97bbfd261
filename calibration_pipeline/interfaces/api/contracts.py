"""The contracts of other services, whose callers needn't change (docs/api-contracts.md)."""

from fastapi import APIRouter

from calibration_pipeline.interfaces.api import exposure_contract, irt_contract, r_service
from calibration_pipeline.interfaces.api.contract_services import opened

router = APIRouter(lifespan=opened)
for part in (irt_contract.router, r_service.router, exposure_contract.router):
    router.include_router(part)
