"""Flagged items: the evidence, and reviewers' decisions."""

import math
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Security

from calibration_pipeline.interfaces import flag_reviews
from calibration_pipeline.interfaces.api.authorisation import require
from calibration_pipeline.interfaces.api.errors import ApiError, responses
from calibration_pipeline.interfaces.api.schemas.flags import (
    Decision,
    DecisionMade,
    DecisionRequest,
    Evidence,
    FlagDocument,
    FlagPage,
    ItemFlags,
)
from calibration_pipeline.interfaces.api.services import Services, ServicesOf
from calibration_pipeline.policy.flag_reasons import REASONS
from calibration_pipeline.records import ApiToken, ItemKey, Role
from calibration_pipeline.store.bank import content_versions

router = APIRouter(
    prefix="/v1/flags", tags=["flags"], dependencies=[Security(require(Role.READER))]
)

_LARGEST = 2**31 - 1
ItemId = Annotated[str, Path(description="The item.", max_length=512)]
ContentVersion = Annotated[
    int | None,
    Query(ge=1, le=_LARGEST, description="Which wording; the newest one without it."),
]


@router.get("", responses=responses())
def list_flags(
    services: ServicesOf,
    status: Annotated[
        Literal["open", "new", "all"],
        Query(
            description="`open`: open and acknowledged ones; `new`: those that are open since the "
            "newest night; `all`: dismissed and resolved ones too."
        ),
    ] = "open",
    reason: Annotated[
        str | None, Query(description="One kind of flag, such as `reference_drift`.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Flags on a page.")] = 100,
    offset: Annotated[
        int, Query(ge=0, le=_LARGEST, description="Flags to pass over: those on earlier pages.")
    ] = 0,
) -> FlagPage:
    """List flags, the strongest evidence first."""
    if reason is not None and reason not in REASONS:
        raise ApiError(
            400, "VALIDATION_ERROR", f"reason: there is no such flag: use one of {list(REASONS)}"
        )
    now = flag_reviews.flags_now(services.database, services.settings.policy)
    chosen = [
        review
        for review in flag_reviews.chosen_reviews(now, status)
        if reason in (None, review.episode.reason)
    ]
    chosen.sort(key=lambda review: -abs(review.episode.newest.z))
    page = [flag_reviews.review_document(review) for review in chosen[offset : offset + limit]]
    return FlagPage(
        night=now.night,
        total=len(chosen),
        flags=[FlagDocument.model_validate(_finite(row)) for row in page],
    )


@router.post(
    "/{item_id:path}/decisions",
    dependencies=[Security(require(Role.OPERATOR))],
    responses=responses(404, 409, body=True),
)
def decide(
    services: ServicesOf,
    item_id: ItemId,
    request: DecisionRequest,
    caller: Annotated[ApiToken, Security(require(Role.OPERATOR))],
) -> DecisionMade:
    """Decide on an item's flags, or on the item. Recorded under the token's name."""
    key = _named(services, item_id, request.content_version)
    decided_by = f"{caller.name} ({caller.prefix})"
    database, policy = services.database, services.settings.policy
    is_retired = flag_reviews.is_retired(database, key)
    if request.decision == "retire" and is_retired:
        raise ApiError(409, "NOTHING_TO_DECIDE", "the item is retired already")
    if request.decision == "retire" or (request.decision == "reopen" and is_retired):
        decided: list[str] = []
        night = flag_reviews.decide_on_item(
            database,
            key,
            request.decision,
            reason=request.reason,
            decided_by=decided_by,
            first_night=request.first_night,
            first_day=services.settings.first_day,
        )
    else:
        try:
            night, decided = flag_reviews.decide_on_flags(
                database,
                policy,
                key,
                request.decision,
                flag=request.flag,
                reason=request.reason,
                decided_by=decided_by,
            )
        except flag_reviews.NothingToDecideError as error:
            raise ApiError(409, "NOTHING_TO_DECIDE", str(error)) from None
    return DecisionMade(
        item_id=key[0],
        content_version=key[1],
        decision=request.decision,
        flags=decided,
        night=night,
        decided_by=decided_by,
    )


@router.get("/{item_id:path}", responses=responses(404))
def show_flags(
    services: ServicesOf, item_id: ItemId, content_version: ContentVersion = None
) -> ItemFlags:
    """Give all flags of an item, with every night's evidence and the decisions."""
    key = _named(services, item_id, content_version)
    now = flag_reviews.flags_now(services.database, services.settings.policy, key)
    reviews = [flag_reviews.review_document(review) for review in now.reviews]
    decisions = flag_reviews.decision_documents(services.database, key)
    evidence = flag_reviews.evidence_documents(key, now)
    return ItemFlags(
        item_id=key[0],
        content_version=key[1],
        flags=[FlagDocument.model_validate(_finite(row)) for row in reviews],
        evidence=[Evidence.model_validate(_finite(row)) for row in evidence],
        decisions=[Decision.model_validate(row) for row in decisions],
    )


def _named(services: Services, item_id: str, content_version: int | None) -> ItemKey:
    versions = content_versions(services.database, item_id)
    if not versions or content_version not in (None, *versions):
        raise ApiError(404, "ITEM_NOT_FOUND", "the bank has no such item: correct its name")
    return item_id, content_version or max(versions)


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no infinity and no NaN: null stands for them."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
