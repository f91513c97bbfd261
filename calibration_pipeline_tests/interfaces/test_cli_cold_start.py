"""The cold-start list from the command line."""

import json
from dataclasses import replace

import pytest
import sqlalchemy as sa

from calibration_pipeline.store import states
from calibration_pipeline.store.cold_start import write_cold_start
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.store.examples import NIGHT, state
from calibration_pipeline_tests.store.test_cold_start import ITEM


@pytest.fixture
def listed(engine: sa.Engine, run_id: str) -> sa.Engine:
    states.write_state(engine, state(), run_id)
    items = [
        replace(ITEM, key=("far", 1), answers_needed=None),
        replace(ITEM, key=("near", 1), answers_needed=12),
        replace(ITEM, key=("other", 1), scale="reading"),
        ITEM,
    ]
    write_cold_start(engine, NIGHT, 1, run_id, items)
    return engine


def test_the_nearest_items_come_first(on_database: Calibrate, listed: sa.Engine) -> None:
    shown = on_database("cold-start").stdout
    places = [shown.index(name) for name in ("near", "new@2", "far")]
    assert places == sorted(places)
    assert "-0.5 (40%)" in shown
    assert "more" in shown
    assert "other" not in on_database("cold-start", "--scale", "main").stdout
    assert "far" not in on_database("cold-start", "--rows", "3").stdout


def test_the_json_holds_every_item(on_database: Calibrate, listed: sa.Engine) -> None:
    found = json.loads(on_database("cold-start", "--json", "--rows", "1").stdout)
    assert found["night"] == NIGHT.isoformat()
    assert found["difficulty_se"] == 0.3
    assert len(found["items"]) == 4
    by_name = {item["item_id"]: item for item in found["items"]}
    assert by_name["new"]["abilities"] == [-0.5, 1.25]
    assert by_name["far"]["answers_needed"] is None


def test_before_the_first_night_it_says_what_to_do(
    on_database: Calibrate, engine: sa.Engine
) -> None:
    assert "run `calibrate night`" in on_database("cold-start").stderr
