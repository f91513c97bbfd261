"""The R calibration service's contract: what its document says, and what must be refused."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.api import r_service_fit, r_service_schemas
from calibration_pipeline.interfaces.api.r_service_fit import calibrate
from calibration_pipeline.interfaces.api.r_service_schemas import CalibrationResult
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import Role
from calibration_pipeline_tests.interfaces.api.service import Service
from calibration_pipeline_tests.reference_data import reference_file

EXAMPLE = {
    "user_id": "user123",
    "item_id": "item456",
    "is_correct": True,
    "responded_at": "2025-11-01T12:34:56Z",
}
"""The document's own observation."""


def observations(persons: int = 60, items: int = 6, seed: int = 7) -> list[dict[str, Any]]:
    """Simulated answers of a Rasch-like test, the document's observation among them."""
    rng = np.random.default_rng(seed)
    right = rng.normal(size=(persons, 1)) - np.linspace(-1, 1, items) > rng.logistic(
        size=(persons, items)
    )
    found = [
        {
            "user_id": "user123" if p == 0 else f"user{p}",
            "item_id": "item456" if j == 0 else f"item{j}",
            "is_correct": bool(right[p, j]),
            "responded_at": EXAMPLE["responded_at"],
        }
        for p in range(persons)
        for j in range(items)
    ]
    found[0] = dict(EXAMPLE)
    return found


def fit(rows: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    """Fit as a worker does; the answer must be what the OpenAPI document says."""
    body = json.dumps({"observations": rows, **options}).encode()
    found = json.loads(calibrate(body, CalibrationConfiguration()))
    CalibrationResult.model_validate(found)
    return dict(found)


def test_the_documents_request_gets_the_documents_answer(reading: Service) -> None:
    """With the header that the R service's callers send their token in."""
    sent = {"observations": observations(), "model": "2PL"}
    token = {"X-Internal-Token": reading.tokens[Role.OPERATOR]}
    answer = reading.post("/calibrate", sent, role=None, headers=token)
    assert answer.status == 200, answer.body
    found = answer.json
    item = next(row for row in found["item_params"] if row["item_id"] == "item456")
    assert item["model"] == "2PL"
    assert item["version"] == "v1"
    assert set(item["params"]) == {"a", "b"}
    person = next(row for row in found["abilities"] if row["user_id"] == "user123")
    assert person.keys() == {"user_id", "theta", "se", "model", "version"}
    assert 0.0 < person["se"] < 1.1
    meta = found["fit_meta"]
    assert meta["run_id"].startswith("fit-20")
    assert meta["run_id"].endswith("Z")
    assert {"model": "2PL", "n_items": 6, "n_users": 60}.items() <= meta["model_spec"].items()
    assert {"logLik", "AIC"} <= meta["metrics"].keys()
    assert len(found["item_params"]) == 6
    assert len(found["abilities"]) == 60


def test_health_needs_no_token(reading: Service) -> None:
    answer = reading.get("/health", role=None)
    assert (answer.status, answer.json) == (200, {"status": "ok"})


def test_readers_may_not_calibrate(reading: Service) -> None:
    sent = {"observations": observations()}
    assert reading.post("/calibrate", sent, role=Role.READER).status == 403
    assert reading.post("/calibrate", sent, role=None).status == 401


@pytest.mark.parametrize(
    ("model", "names"), [("1PL", "ab"), ("2PL", "ab"), ("3PL", "abc")], ids=lambda value: value
)
def test_each_model_has_its_parameters(model: str, names: str) -> None:
    found = fit(observations(), model=model)
    assert {"".join(row["params"]) for row in found["item_params"]} == {names}
    assert {"".join(row["se"]) for row in found["item_params"]} == {names}
    slopes = {round(row["params"]["a"], 12) for row in found["item_params"]}
    assert (len(slopes) == 1) == (model == "1PL")
    assert found["fit_meta"]["model_spec"]["model"] == model


def test_the_model_is_2pl_unless_said_otherwise() -> None:
    assert fit(observations())["fit_meta"]["model_spec"]["model"] == "2PL"


@pytest.mark.parametrize(
    ("model", "expected", "n_parameters"), [("1PL", -2466.938, 6), ("2PL", -2466.653, 10)]
)
def test_the_log_likelihood_is_the_published_one(
    model: str, expected: float, n_parameters: int
) -> None:
    """LSAT 6 by maximum likelihood; with priors it can only be lower, and hardly is."""
    table = pd.read_csv(reference_file("lsat6.csv"))
    rows = [
        {"user_id": str(person), "item_id": item, "is_correct": bool(correct)}
        for person, item, correct in table.itertuples(index=False)
    ]
    metrics = fit(rows, model=model, priors=False)["fit_meta"]["metrics"]
    assert metrics["logLik"] == pytest.approx(expected, abs=0.001)
    assert metrics["AIC"] == pytest.approx(-2 * expected + 2 * n_parameters, abs=0.002)
    assert metrics["BIC"] == pytest.approx(-2 * expected + np.log(1000) * n_parameters, abs=0.002)
    usual = fit(rows, model=model)["fit_meta"]["metrics"]
    assert expected - 1.0 < usual["logLik"] <= expected + 0.001


def test_estimates_are_near_the_truth_within_their_standard_errors() -> None:
    rng = np.random.default_rng(3)
    b = np.linspace(-1.5, 1.5, 20)
    right = 1.3 * (rng.normal(size=(800, 1)) - b) > rng.logistic(size=(800, 20))
    rows = [
        {"user_id": f"u{p}", "item_id": f"i{j:02d}", "is_correct": int(right[p, j])}
        for p, j in np.ndindex(right.shape)
    ]
    found = sorted(fit(rows)["item_params"], key=lambda row: row["item_id"])
    z = [(row["params"]["b"] - b[j]) / row["se"]["b"] for j, row in enumerate(found)]
    assert np.mean(np.abs(z) < 2.0) >= 0.85
    assert np.mean([row["params"]["a"] for row in found]) == pytest.approx(1.3, abs=0.12)


def test_an_item_with_one_kind_of_answer_gets_a_result_that_says_so() -> None:
    rows = observations() + [
        {"user_id": f"user{p}", "item_id": "easy", "is_correct": True} for p in range(1, 60)
    ]
    item = next(row for row in fit(rows)["item_params"] if row["item_id"] == "easy")
    assert "all_right" in item["flags"]
    assert -6.0 <= item["params"]["b"] < -1.0


def test_of_repeated_answers_the_first_in_time_counts() -> None:
    rows = observations()
    later = {**EXAMPLE, "is_correct": False, "responded_at": "2025-11-02T08:00:00"}
    found = fit([later, *rows])
    assert found["fit_meta"]["model_spec"]["n_repeated"] == 1
    alone = fit(rows)
    assert found["item_params"] == alone["item_params"]
    assert found["abilities"] == alone["abilities"]


def test_of_the_same_answer_sent_twice_one_counts() -> None:
    """The callers' own fallbacks can give a row twice."""
    rows = observations()
    untimed = {name: value for name, value in EXAMPLE.items() if name != "responded_at"}
    found = fit([*rows, EXAMPLE, untimed])
    assert found["fit_meta"]["model_spec"]["n_repeated"] == 2
    assert found["item_params"] == fit(rows)["item_params"]
    # Which was first matters again where another answer differs, and one of them has no time.
    other = EXAMPLE | {"is_correct": False, "responded_at": "2025-10-01T00:00:00Z"}
    with pytest.raises(BadInputError, match=r"observations\.361"):
        fit([*rows, untimed, other])


def test_fields_that_nobody_knows_are_passed_over() -> None:
    assert len(fit(observations(), job="mirt_calibrate")["item_params"]) == 6


def test_the_order_of_observations_changes_nothing() -> None:
    rows = observations()
    assert fit(rows[::-1])["item_params"] == fit(rows)["item_params"]


def a_body(**changes: Any) -> str:
    rows = observations(3, 3)
    rows[1] |= changes
    return json.dumps({"observations": rows})


REFUSED = {
    "the document's single observation": (json.dumps({"observations": [EXAMPLE]}), "1 person"),
    "no JSON": ("user_id,item_id\n1,2\n", "body: Invalid JSON"),
    "half a body": (a_body()[:-20], "body: Invalid JSON"),
    "nothing": ("", "body: Invalid JSON"),
    "a list": ("[]", "body: "),
    "no observations": ("{}", "observations: Field required"),
    "an empty list": ('{"observations": []}', "observations: List should have at least 1"),
    "NaN": (a_body(is_correct=float("nan")), "observations.1.is_correct: "),
    "a text for a score": (a_body(is_correct="true"), "observations.1.is_correct: "),
    "a score of 2": (a_body(is_correct=2), "observations.1.is_correct: "),
    "a huge number": (a_body().replace("true", "1e999", 1), "is_correct: "),
    "a number of 9000 digits": (a_body().replace("true", "9" * 9000, 1), "body: Invalid JSON"),
    "a number for an id": (a_body(user_id=7), "observations.1.user_id: "),
    "an empty id": (a_body(item_id=""), "observations.1.item_id: "),
    "an id of 9000 letters": (a_body(item_id="x" * 9000), "observations.1.item_id: "),
    "a time that is none": (a_body(responded_at="yesterday"), "observations.1.responded_at: "),
    "half a surrogate": (a_body(item_id="\ud800"), "body: Invalid JSON"),
    "a deep nest": ('{"observations":' + "[" * 9000, "body: Invalid JSON"),
    "an unknown model": (json.dumps({"model": "4PL", "observations": [EXAMPLE]}), "model: "),
    "one item": (json.dumps({"observations": observations(5, 1)}), "1 item"),
    "one answer each": (
        json.dumps({"observations": [observations(6, 2)[j] for j in (0, 3, 4, 7)]}),
        "nobody has answered two items",
    ),
    "a repeated observation": (
        json.dumps({"observations": [*observations(3, 3), EXAMPLE | {"is_correct": False}]}),
        "observations.9: the same person has given this item another answer",
    ),
    "only right answers": (
        json.dumps({"observations": [r | {"is_correct": True} for r in observations(4, 3)]}),
        "every answer is right",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_estimated_is_refused_in_one_clear_line(case: str) -> None:
    body, expected = REFUSED[case]
    with pytest.raises(BadInputError) as refusal:
        calibrate(body.encode("utf-8", "surrogatepass"), CalibrationConfiguration())
    assert expected in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


def test_a_refusal_is_a_400_with_the_row(reading: Service) -> None:
    answer = reading.post("/calibrate", a_body(is_correct=None).encode(), role=Role.OPERATOR)
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    assert answer.json["error"]["message"].startswith("observations.1.is_correct: ")


def test_a_million_observations_are_too_many(reading: Service) -> None:
    """As callers write them they are more bytes than a body may have: refused unread."""
    size = 1_000_000 * len(json.dumps(EXAMPLE))
    headers = {"Content-Length": str(size)}
    answer = reading.post("/calibrate", b'{"obs', role=Role.OPERATOR, headers=headers)
    assert (answer.status, answer.code) == (413, "BODY_TOO_LARGE")


def test_more_observations_than_a_request_may_have_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(r_service_fit, "MOST_OBSERVATIONS", 17)
    with pytest.raises(r_service_schemas.TooManyObservationsError, match="18 observations"):
        fit(observations(6, 3))
