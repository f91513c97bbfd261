"""Every route of the service, what it needs, and a call of it that changes nothing."""

from dataclasses import dataclass

from calibration_pipeline.records import Role


@dataclass(frozen=True)
class Route:
    """A route as the OpenAPI document names it.

    Attributes
    ----------
    needs
        The lowest role that may use it; None: it needs no token.
    path
        To call, with values in place of names.
    body
        For a POST: one that is refused, so that nothing is started or changed.
    """

    method: str
    template: str
    needs: Role | None
    path: str
    body: object = None


def _get(template: str, needs: Role | None, path: str | None = None) -> Route:
    return Route("GET", template, needs, path or template)


ROUTES = (
    _get("/health", None),
    _get("/v1/live", None),
    _get("/v1/ready", None),
    _get("/v1/openapi.json", Role.READER),
    _get("/v1/versions", Role.READER),
    _get("/v1/versions/{version}", Role.READER, "/v1/versions/2"),
    _get("/v1/versions/{version}/snapshot", Role.READER, "/v1/versions/current/snapshot"),
    _get("/v1/versions/{version}/items/{item_id}", Role.READER, "/v1/versions/2/items/i1"),
    _get("/v1/versions/{version}/exposure", Role.READER, "/v1/versions/2/exposure"),
    _get("/v1/flags", Role.READER),
    _get("/v1/flags/{item_id}", Role.READER, "/v1/flags/i1"),
    Route(
        "POST",
        "/v1/flags/{item_id}/decisions",
        Role.OPERATOR,
        "/v1/flags/i1/decisions",
        {"decision": "acknowledge"},
    ),
    _get("/v1/runs", Role.READER),
    _get("/v1/runs/{run_id}", Role.READER, "/v1/runs/00000000-0000-0000-0000-000000000000"),
    Route("POST", "/api/irt/calibrate", Role.OPERATOR, "/api/irt/calibrate", {"min_responses": -1}),
    _get("/api/irt/parameters/{item_id}", Role.READER, "/api/irt/parameters/i1"),
    Route("POST", "/calibrate", Role.OPERATOR, "/calibrate", {"observations": "none"}),
    _get("/v1/admin/exposure/items", Role.ADMINISTRATOR),
    Route(
        "POST",
        "/v1/admin/exposure/set",
        Role.ADMINISTRATOR,
        "/v1/admin/exposure/set",
        {"sh_p": 2},
    ),
    Route(
        "POST",
        "/v1/admin/exposure/calibrate_sh",
        Role.ADMINISTRATOR,
        "/v1/admin/exposure/calibrate_sh",
        {"tau": -1},
    ),
)
