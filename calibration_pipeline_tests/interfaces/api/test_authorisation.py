"""No role reaches what is not its own: every route × role × token."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from calibration_pipeline.interfaces.api import authorisation
from calibration_pipeline.interfaces.api.app import create_app
from calibration_pipeline.records import Role
from calibration_pipeline.settings import Settings
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.tokens import issue_token, list_tokens, revoke_token
from calibration_pipeline_tests.interfaces.api.routes import ROUTES, Route
from calibration_pipeline_tests.interfaces.api.service import Service, wait_until
from calibration_pipeline_tests.processes import PATIENCE_SECONDS

UNACCEPTED = ("none", "wrong", "expired", "revoked", "of another scheme", "endless")


def _all_routes(routes: list[Any]) -> Iterator[tuple[str, str]]:
    for route in routes:
        if hasattr(route, "original_router"):
            yield from _all_routes(route.original_router.routes)
        else:
            yield from ((method, route.path_format) for method in route.methods - {"HEAD"})


def test_every_route_is_in_the_table() -> None:
    app = create_app(Settings())
    table = {(route.method, route.template) for route in ROUTES}
    assert table == set(_all_routes(app.routes))
    documented = {
        (method.upper(), path)
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }
    assert table == documented | {("GET", "/v1/openapi.json")}


@pytest.fixture(scope="module")
def unaccepted(reading: Service) -> dict[str, dict[str, str]]:
    """Headers with a token of the highest role that isn't accepted, by what is wrong with it."""
    engine = open_engine(reading.database_url)
    past = datetime.now(UTC) - timedelta(seconds=1)
    issued = [
        issue_token(
            engine, name=name, role=Role.ADMINISTRATOR, issued_by="a test", expires_at=expires_at
        )
        for name, expires_at in (("expired", past), ("revoked", None))
    ]
    revoke_token(engine, issued[1][1].prefix, revoked_by="a test")
    engine.dispose()
    good = reading.tokens[Role.ADMINISTRATOR]
    return {
        "none": {},
        "wrong": {"Authorization": f"Bearer {good[:-1]}~"},
        "expired": {"Authorization": f"Bearer {issued[0][0]}"},
        "revoked": {"Authorization": f"Bearer {issued[1][0]}"},
        "of another scheme": {"Authorization": f"Basic {good}"},
        "endless": {"Authorization": f"Bearer {good * 100}"},
    }


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.template}")
@pytest.mark.parametrize("caller", [*Role, *UNACCEPTED], ids=str)
def test_a_route_is_open_to_its_roles_alone(
    reading: Service, unaccepted: dict[str, dict[str, str]], route: Route, caller: Role | str
) -> None:
    headers = unaccepted[caller] if isinstance(caller, str) else None
    role = caller if isinstance(caller, Role) else None
    found = reading.call(route.method, route.path, role=role, headers=headers, body=route.body)
    if route.needs is None:
        assert found.status == 200
    elif role is None:
        assert (found.status, found.code) == (401, "UNAUTHORIZED")
        assert found.headers["www-authenticate"] == "Bearer"
    elif role < route.needs:
        assert (found.status, found.code) == (403, "FORBIDDEN")
    else:
        assert found.status in ((200, 404) if route.method == "GET" else (400,)), found.body


def test_a_path_that_is_not_there_tells_nothing_without_a_token(reading: Service) -> None:
    assert reading.get("/v1/nothing", role=None).status == 401
    assert reading.get("/docs", role=None).status == 401
    assert reading.get("/v1/nothing").status == 404


def test_a_token_that_is_revoked_is_refused_within_a_moment(own_reading: Service) -> None:
    assert own_reading.get("/v1/versions").status == 200
    engine = open_engine(own_reading.database_url)
    reader = own_reading.tokens[Role.READER]
    revoke_token(engine, reader[:12], revoked_by="a test")
    # It is known for a second at most; the rest of the wait is for a busy machine.
    wait_until(lambda: own_reading.get("/v1/versions").status == 401)
    assert own_reading.get("/v1/versions", role=Role.OPERATOR).status == 200
    used = {token.prefix: token.last_used_at for token in list_tokens(engine)}
    assert used[reader[:12]] is not None
    engine.dispose()


def test_a_token_that_was_just_issued_is_accepted(
    own_reading: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authorisation, "TOKENS_FRESH_SECONDS", PATIENCE_SECONDS)
    assert own_reading.get("/v1/versions").status == 200  # what is known of tokens is fresh now
    engine = open_engine(own_reading.database_url)
    token, _ = issue_token(
        engine, role=Role.READER, name="late", issued_by="a test", expires_at=None
    )
    engine.dispose()
    headers = {"Authorization": f"Bearer {token}"}
    assert own_reading.get("/v1/versions", role=None, headers=headers).status == 200


def test_the_r_services_header_takes_the_same_tokens(reading: Service) -> None:
    headers = {"X-Internal-Token": reading.tokens[Role.READER]}
    assert reading.get("/v1/versions", role=None, headers=headers).status == 200
    assert reading.get("/v1/admin/exposure/items", role=None, headers=headers).status == 403
