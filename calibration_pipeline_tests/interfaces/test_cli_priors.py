"""`calibrate priors`: learned now or looked at; a bad fit is told and not used."""

import json

import pytest
import sqlalchemy as sa

from calibration_pipeline.store import states
from calibration_pipeline.store.item_priors import store_item_priors
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.store.examples import state
from calibration_pipeline_tests.store.test_item_priors import a_fit, scale

FACTS = {
    "teachers": 120,
    "items": 150,
    "families": 8,
    "pareto_k": 0.41,
    "effective_draws": 310.0,
    "judged": [100, 110, 40],
    "covered": [0.95, 0.94, None],
    "new_items": {"judged": [0, 60, 0], "covered": [None, 0.93, None]},
    "author_bias": {"mean": 0.3, "sd": 0.1},
    "author_scale": {"mean": 1.2, "sd": 0.1},
    "author_error_sd": {"mean": 0.7, "sd": 0.1},
} | {
    name: {"mean": [0.1, 0.2, 0.3], "sd": [0.01] * 3}
    for name in ("mean", "option_slope", "residual_sd", "family_sd")
}


@pytest.fixture
def priors(on_database: Calibrate, engine: sa.Engine) -> Calibrate:
    return lambda *arguments: on_database("priors", *arguments)


def store(engine: sa.Engine) -> None:
    scales = tuple(type(s)(**(vars(s) | {"diagnostics": FACTS})) for s in (scale(), scale("alpha")))
    run = engine.connect()
    run_id = run.scalar(sa.text("SELECT run_id FROM calibration.runs LIMIT 1"))
    run.close()
    states.write_state(engine, state(), run_id)
    store_item_priors(engine, a_fit(scales=scales), fitted_by="a test")


def test_before_the_first_fit_it_says_what_to_do(priors: Calibrate) -> None:
    listed = priors("list")
    assert listed.exit_code == 0
    assert "calibrate priors fit" in listed.stdout + listed.stderr
    assert priors("show").exit_code == 2
    fitted = priors("fit")
    assert fitted.exit_code == 1
    assert "no night has been accepted" in fitted.stderr or "not installed" in fitted.stderr


def test_a_fit_and_its_items_are_shown(priors: Calibrate, engine: sa.Engine, run_id: str) -> None:
    del run_id
    store(engine)
    (row,) = json.loads(priors("list", "--json").stdout)
    assert (row["number"], row["is_accepted"]) == (1, True)
    shown = priors("show")
    assert shown.exit_code == 0, shown.stderr
    assert "0.30 + 1.20 b, ± 0.70" in shown.stdout
    document = json.loads(priors("show", 1, "--json").stdout)
    assert len(document["items"]) == 8
    assert document["scales"]["zeta"]["pareto_k"] == 0.41
    one = json.loads(priors("show", "--item", "zeta1", "--json").stdout)["items"]
    assert [item["item_id"] for item in one] == ["zeta1"]
    assert len(one[0]["covariance"]) == 3
    unknown = priors("show", "--item", "nothing")
    assert unknown.exit_code == 2
    assert "there is no prior of nothing" in unknown.stderr
    assert priors("show", 9).exit_code == 2
