"""Published versions, for test engines (docs/api.md, docs/reading-versions.md)."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response, Security
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from calibration_pipeline.interfaces.api.authorisation import caller_of, require
from calibration_pipeline.interfaces.api.conditional import accepts, answer
from calibration_pipeline.interfaces.api.errors import ApiError, responses
from calibration_pipeline.interfaces.api.schemas.versions import (
    ExposureTable,
    Item,
    ItemExposure,
    ScaleExposureTable,
    Snapshot,
    VersionDocument,
    VersionPage,
    VersionSummary,
)
from calibration_pipeline.interfaces.api.services import Services, ServicesOf
from calibration_pipeline.interfaces.api.version_library import VERSION_PATTERN
from calibration_pipeline.records import Role, ScaleExposure, SnapshotManifest
from calibration_pipeline.store.exposure import read_exposure
from calibration_pipeline.store.snapshots import current_version, list_snapshots

router = APIRouter(
    prefix="/v1/versions", tags=["versions"], dependencies=[Security(require(Role.READER))]
)

PARQUET = "application/vnd.apache.parquet"
_MOST_ROWS = 200
_LARGEST = 2**31 - 1

VersionName = Annotated[
    str,
    Path(description="A version's number, or an alias such as `current`.", pattern=VERSION_PATTERN),
]
_HEADERS: dict[str, Any] = {
    "ETag": {"description": "Strong: of just these bytes.", "schema": {"type": "string"}},
    "Cache-Control": {
        "description": "`immutable` where a number was asked for, `no-cache` for an alias.",
        "schema": {"type": "string"},
    },
    "X-Calibration-Version": {
        "description": "Number of the version that was given.",
        "schema": {"type": "integer"},
    },
}
_UNCHANGED: dict[int | str, Any] = {
    304: {"description": "The caller has it: `If-None-Match` names its ETag."}
}


def _reading(model: type[Any], *statuses: int, parquet: bool = False) -> dict[int | str, Any]:
    """What a route declares that gives encoded bytes."""
    found: dict[str, Any] = {"model": model, "headers": _HEADERS, "description": "Found."}
    if parquet:
        found["content"] = {PARQUET: {"schema": {"type": "string", "format": "binary"}}}
    return {200: found} | _UNCHANGED | responses(404, *statuses)


@router.get("", responses=responses())
def list_versions(
    services: ServicesOf,
    limit: Annotated[int, Query(ge=1, le=_MOST_ROWS, description="Versions on a page.")] = 50,
    before: Annotated[
        int | None,
        Query(ge=1, le=_LARGEST, description="Only versions with a smaller number."),
    ] = None,
) -> VersionPage:
    """List the published versions, the newest first."""
    current = current_version(services.database)
    found = list_snapshots(services.database, limit + 1, before=before)
    page = found[:limit]
    return VersionPage(
        versions=[_summary(manifest, current) for manifest in page],
        next_before=page[-1].version if len(found) > limit else None,
    )


def _summary(manifest: SnapshotManifest, current: int | None) -> VersionSummary:
    values = {name: getattr(manifest, name, None) for name in VersionSummary.model_fields}
    return VersionSummary.model_validate(values | {"is_current": manifest.version == current})


@router.get("/{version}", responses=_reading(VersionDocument))
async def show_version(request: Request, services: ServicesOf, version: VersionName) -> Response:
    """Give a version's manifest and what its audit found."""
    found = await services.versions.get(version)
    return answer(request, version, found, found.summary)


@router.get("/{version}/snapshot", responses=_reading(Snapshot, 406, parquet=True))
async def whole_snapshot(
    request: Request,
    services: ServicesOf,
    version: VersionName,
    format: Annotated[  # noqa: A002 - callers' name for it
        Literal["json", "parquet"] | None,
        Query(description="Format; without it, what `Accept` asks for, or JSON."),
    ] = None,
) -> Response:
    """Give a version whole: its manifest and every item.

    JSON is compressed where `Accept-Encoding` allows gzip. Parquet has a row per item and the
    manifest in the file's metadata, under `calibration_manifest`.
    """
    chosen = format or _format_accepted(request.headers.get("accept"))
    found = await services.versions.get(version)
    vary = "Accept, Accept-Encoding"
    if chosen == "parquet":
        return answer(request, version, found, found.parquet, media_type=PARQUET, vary=vary)
    if accepts(request.headers.get("accept-encoding"), "gzip"):
        return answer(request, version, found, found.gzipped_json, encoding="gzip", vary=vary)
    return answer(request, version, found, found.json, vary=vary)


def _format_accepted(accept: str | None) -> Literal["json", "parquet"]:
    """Choose between the two formats by a caller's `Accept`; the first named one wins."""
    if accept is None:
        return "json"
    for part in accept.split(","):
        kind = part.partition(";")[0].strip().lower()
        if kind in (PARQUET, "application/x-parquet"):
            return "parquet"
        if kind in ("application/json", "application/*", "*/*"):
            return "json"
    raise ApiError(
        406, "NOT_ACCEPTABLE", f"a snapshot is given as application/json or as {PARQUET}"
    )


async def one_item(
    request: Request,
    services: ServicesOf,
    version: VersionName,
    item_id: Annotated[str, Path(description="The item.", max_length=512)],
    content_version: Annotated[
        int | None,
        Query(ge=1, le=_LARGEST, description="Which wording; the newest one without it."),
    ] = None,
) -> Response:
    """Give one item of a version."""
    found = await services.versions.get(version)
    encoded = (
        found.items.get(item_id)
        if content_version is None
        else found.by_key.get((item_id, content_version))
    )
    if encoded is None:
        raise ApiError(
            404,
            "ITEM_NOT_FOUND",
            f"version {found.number} has no such item: add it to the bank, and the next night "
            "publishes it",
        )
    return answer(request, version, found, encoded)


class AtHandRoute(APIRoute):
    """A route that answers at once where it can, and as every other where it can't.

    Most requests by far are for an item of a version in memory. They need none of what FastAPI does
    to call the route's function, which would take half of the time.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give what answers a request."""
        usual = super().get_route_handler()

        async def handler(request: Request) -> Response:
            return _item_at_hand(request) or await usual(request)

        return handler


def _item_at_hand(request: Request) -> Response | None:
    """Give an item that is in memory, to whom may have it; None where that isn't plain to see."""
    scope, caller = request.scope, caller_of(request)
    if caller is None or caller.role < Role.READER or scope["query_string"]:
        return None
    names = scope["path_params"]
    services: Services = scope["app"].state.services
    found = services.versions.at_hand(names["version"])
    encoded = None if found is None else found.items.get(names["item_id"])
    if found is None or encoded is None:
        return None
    return answer(request, names["version"], found, encoded)


router.add_api_route(
    "/{version}/items/{item_id:path}",
    one_item,
    responses=_reading(Item),
    route_class_override=AtHandRoute,
)


@router.get("/{version}/exposure", responses=responses(404))
async def exposure(services: ServicesOf, version: VersionName) -> ExposureTable:
    """Give the probabilities with which items of a version may be given to a candidate.

    A version can get newer ones, so the answer isn't to be kept beyond a session.
    """
    found = await services.versions.get(version)  # 404 where there is no such version
    controls = await run_in_threadpool(read_exposure, services.database, found.number)
    return ExposureTable(version=found.number, scales=[_scale(control) for control in controls])


def _scale(control: ScaleExposure) -> ScaleExposureTable:
    by_item = zip(
        control.keys,
        control.probability.T.tolist(),
        control.rates.T.tolist(),
        control.rates_without.T.tolist(),
        strict=True,
    )
    return ScaleExposureTable(
        scale=control.scale,
        method=control.method,
        maximum_rate=control.maximum_rate,
        is_reached=control.is_reached,
        cuts=list(control.cuts),
        items=[
            ItemExposure(
                item_id=key[0],
                content_version=key[1],
                probability=probability,
                simulated_rate=rate,
                rate_without=without,
            )
            for key, probability, rate, without in by_item
        ],
    )
