"""The question bank's contract for exposure control: what its document says."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.api import contract_services
from calibration_pipeline.interfaces.api.exposure_contract import exposure_of
from calibration_pipeline.interfaces.api.exposure_contract_pool import (
    pool_in_force,
    recent_answers,
)
from calibration_pipeline.interfaces.api.exposure_contract_schemas import CalibrateExposure
from calibration_pipeline.interfaces.api.exposure_contract_work import (
    ExposureTask,
    abilities_of,
    search,
    set_by_hand,
)
from calibration_pipeline.records import Role
from calibration_pipeline.store.exposure import read_exposure
from calibration_pipeline_tests.interfaces.api.calculations import nothing
from calibration_pipeline_tests.interfaces.api.service import Answer, Service, serving
from calibration_pipeline_tests.programme import LAST, Programme

ADMINISTRATOR = Role.ADMINISTRATOR
EXAMPLE = {
    "exam_code": "main",
    "tau": 0.2,
    "n": 400,
    "test_len": 25,
    "iters": 5,
    "alpha": 0.6,
    "dry_run": False,
}
"""The document's own request, for the scale of the tests' programme."""


def items(service: Service, limit: int = 1000) -> dict[tuple[str, int], dict[str, Any]]:
    """The items as the contract lists them, by id and version."""
    answer = service.get(f"/v1/admin/exposure/items?limit={limit}", role=ADMINISTRATOR)
    assert answer.status == 200, answer.body
    return {(str(row["question_id"]), row["version"]): row for row in answer.json}


def calibrated_exposure(service: Service, **changes: Any) -> Answer:
    """Send the document's request with some changes."""
    body = EXAMPLE | changes
    return service.post("/v1/admin/exposure/calibrate_sh", body, role=ADMINISTRATOR)


def test_what_is_left_out_has_the_documents_defaults() -> None:
    assert CalibrateExposure(exam_code="DEMO-EXAM").model_dump() == {
        "exam_code": "DEMO-EXAM",
        "tau": 0.2,
        "n": 400,
        "test_len": 25,
        "iters": 5,
        "alpha": 0.6,
        "theta_dist": "normal0,1",
        "floor": 0.02,
        "ceil": 1.0,
        "dry_run": False,
    }


def test_items_are_listed_up_to_a_limit_of_100(service: Service) -> None:
    answer = service.get("/v1/admin/exposure/items", role=ADMINISTRATOR)
    assert len(answer.json) == 100
    fields = {"question_id", "version", "topic_id", "sh_p", "recent_attempts"}
    assert all(row.keys() == fields for row in answer.json)
    assert {row["sh_p"] for row in answer.json} == {1.0}
    assert len(items(service, 100_000)) == 150
    for limit in ("0", "-1", "many", "1000001"):
        found = service.get(f"/v1/admin/exposure/items?limit={limit}", role=ADMINISTRATOR)
        assert (found.status, found.code) == (400, "VALIDATION_ERROR")


def test_only_administrators_see_and_set_it(service: Service) -> None:
    for role, status in ((Role.OPERATOR, 403), (Role.READER, 403), (None, 401)):
        assert service.get("/v1/admin/exposure/items", role=role).status == status
        for path in ("set", "calibrate_sh"):
            assert service.post(f"/v1/admin/exposure/{path}", {}, role=role).status == status


def test_recent_answers_are_those_of_seven_days(calibrated: Programme) -> None:
    counts = recent_answers(calibrated.engine, calibrated.settings, today=LAST + timedelta(days=2))
    query = sa.text(
        "SELECT item_id, content_version, count(*) FROM calibration.response_log "
        "WHERE session_started_at >= (:first)::date::timestamp AT TIME ZONE 'Europe/Zurich' "
        "GROUP BY 1, 2"
    )
    first = LAST + timedelta(days=2 - 7)
    with calibrated.engine.connect() as connection:
        rows = connection.execute(query, {"first": first}).all()
    assert counts == Counter({(item, version): n for item, version, n in rows})
    assert counts.total() > 0
    assert recent_answers(calibrated.engine, calibrated.settings).total() == 0


@pytest.fixture
def simulating_service(
    calibrated_copy: Programme, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    """A service of the test's own whose processes load no more than they need."""
    monkeypatch.setattr(contract_services, "prepare", nothing)
    with serving(calibrated_copy.settings) as found:
        yield found


def test_probabilities_are_found_by_simulation_or_set_by_hand(
    simulating_service: Service, calibrated_copy: Programme
) -> None:
    service, engine = simulating_service, calibrated_copy.engine
    before = items(service)
    dry = calibrated_exposure(service, dry_run=True)
    assert dry.status == 200, dry.body
    assert (dry.json["ok"], dry.json["stored"]) == (True, False)
    assert items(service) == before
    assert read_exposure(engine, pool_in_force(engine).version) == ()

    stored = calibrated_exposure(service)
    assert (stored.json["ok"], stored.json["stored"]) == (True, True)
    assert stored.json["worst_rate"] < stored.json["worst_rate_without"]
    assert "wanted 20.0%" in stored.json["stdout"]
    found = items(service)
    probabilities = [row["sh_p"] for row in found.values()]
    assert 0.02 <= min(probabilities) < 1.0 == max(probabilities)
    assert stored.json["items_held_back"] == sum(p < 1.0 for p in probabilities)

    key = next(key for key, row in found.items() if row["sh_p"] == 1.0)
    body = {"question_id": key[0], "version": key[1], "sh_p": 0.05}
    answer = service.post("/v1/admin/exposure/set", body, role=ADMINISTRATOR)
    assert (answer.status, answer.json) == (200, {"ok": True})
    found[key]["sh_p"] = 0.05
    assert items(service) == found
    (control,) = read_exposure(engine, pool_in_force(engine).version)
    assert control.settings["set_by_hand"] == {f"{key[0]}@{key[1]}": 0.05}
    # What stands beside the probabilities is what these reach, by the same kind of test.
    assert control.rates[0, control.keys.index(key)] <= 0.05 + 0.01
    assert (control.method, control.settings["answers"]) == ("sympson-hetter", 25)


@pytest.mark.parametrize("changes", [{"test_len": 151}, {"tau": 0.1}])
def test_a_maximum_that_the_pool_cannot_keep_is_refused(
    calibrated: Programme, changes: dict[str, Any]
) -> None:
    asked = CalibrateExposure(**EXAMPLE | changes)
    pool = pool_in_force(calibrated.engine).pools["main"]
    task = ExposureTask(pool, exposure_of(asked), asked.tau, asked.theta_dist)
    with pytest.raises(BadInputError, match="allow a higher tau or a lower test_len"):
        search(task)


@pytest.mark.parametrize(
    ("path", "changes", "status"),
    [
        ("set", {"sh_p": 1.01}, 400),
        ("set", {"sh_p": -0.01}, 400),
        ("set", {"sh_p": "half"}, 400),
        ("set", {"version": 0}, 400),
        ("set", {"question_id": ""}, 400),
        ("set", {"question_id": 10**30}, 400),
        ("set", {"question_id": 123456}, 404),
        ("calibrate_sh", {"exam_code": "DEMO-EXAM"}, 404),
        ("calibrate_sh", {"exam_code": None}, 400),
        ("calibrate_sh", {"tau": 0}, 400),
        ("calibrate_sh", {"tau": 1.5}, 400),
        ("calibrate_sh", {"n": 10**9}, 400),
        ("calibrate_sh", {"iters": 0}, 400),
        ("calibrate_sh", {"alpha": 0}, 400),
        ("calibrate_sh", {"theta_dist": "cauchy0,1"}, 400),
        ("calibrate_sh", {"theta_dist": "normal0,-1"}, 400),
        ("calibrate_sh", {"theta_dist": "uniform1,-1"}, 400),
        ("calibrate_sh", {"floor": 0.9, "ceil": 0.1}, 400),
    ],
)
def test_what_cannot_be_is_refused(
    service: Service, path: str, changes: dict[str, Any], status: int
) -> None:
    usual = {"question_id": "i", "version": 1, "sh_p": 0.5} if path == "set" else EXAMPLE
    answer = service.post(f"/v1/admin/exposure/{path}", usual | changes, role=ADMINISTRATOR)
    assert answer.status == status, answer.body
    assert answer.json["error"]["message"]
    assert answer.json["detail"] == answer.json["error"]["message"]  # where its callers look


@pytest.mark.parametrize(
    ("theta_dist", "mean", "sd"),
    [
        ("normal0,1", 0, 1),
        ("uniform-1,1", 0, 0.577),
        ("fixed0", 0, 0),
        ("normal0.5,1.2", 0.5, 1.2),
        ("normal", 0, 1),
        ("uniform", 0, 0.577),
        ("fixed", 0, 0),
    ],
)
def test_who_takes_the_test_is_who_was_named(theta_dist: str, mean: float, sd: float) -> None:
    drawn = abilities_of(theta_dist)(20_000, np.random.default_rng(5))
    assert drawn.mean() == pytest.approx(mean, abs=0.03)
    assert drawn.std() == pytest.approx(sd, abs=0.02)


def test_an_items_probability_can_be_set_in_a_pool_smaller_than_a_test(
    calibrated: Programme,
) -> None:
    """Retirements can make it so, and a scale may have few items from the beginning."""
    found = pool_in_force(calibrated.engine)
    pool = found.pools["main"]
    few = replace(
        pool,
        keys=pool.keys[:7],
        parameters=pool.parameters[:7],
    )
    task = replace(found, pools={"main": few}).standing_task("main", calibrated.settings.policy)
    control = set_by_hand(task, np.ones((1, 7)), few.keys[0], 0.5, {})
    assert control.settings["answers"] == 7
    assert control.probability[0, 0] == 0.5
    assert control.rates.tolist() == [[1.0] * 7]  # each test needs all that there is


def test_a_floor_above_the_ceiling_is_refused() -> None:
    with pytest.raises(BadInputError, match="floor and ceiling"):
        exposure_of(CalibrateExposure(exam_code="main", floor=0.9, ceil=0.1))
