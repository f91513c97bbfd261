"""Flags and links: the newest computation counts, an empty one too."""

import math
from datetime import timedelta

import pytest
import sqlalchemy as sa

from calibration_pipeline.records import Flag, ScaleLink
from calibration_pipeline.store import results, states
from calibration_pipeline_tests.store.examples import NIGHT, state

DRIFT = Flag(("i2", 1), "difficulty_drift", 0.4, 0.1, 0.15, 5.0, True, "moved by 0.3")
MISFIT = Flag(("i1", 2), "misfit", 1.4, 1.0, 1.3, math.inf, False, "outfit 1.4")
LINK = ScaleLink(
    "main", "stocking-lord", 1.01, -0.02, 30, {"i3": "flagged"}, True, 0.012, 0.008, -3e-5
)


@pytest.fixture(autouse=True)
def _stored_state(engine: sa.Engine, run_id: str) -> None:
    states.write_state(engine, state(), run_id)


def test_flags_come_back_by_item_and_reason(engine: sa.Engine, run_id: str) -> None:
    results.write_flags(engine, NIGHT, 1, run_id, [DRIFT, MISFIT])
    assert results.read_flags(engine, NIGHT) == (MISFIT, DRIFT)
    assert results.read_flags(engine, NIGHT, 2) == ()
    assert results.read_flags(engine, NIGHT + timedelta(days=1)) == ()


def test_the_newest_computation_counts_even_when_it_found_nothing(
    engine: sa.Engine, run_id: str
) -> None:
    results.write_flags(engine, NIGHT, 1, run_id, [DRIFT])
    results.write_flags(engine, NIGHT, 1, run_id, [])
    assert results.read_flags(engine, NIGHT) == ()


def test_a_newer_attempt_counts_unless_one_is_named(engine: sa.Engine, run_id: str) -> None:
    states.write_state(engine, state(attempt=2), run_id)
    results.write_flags(engine, NIGHT, 2, run_id, [MISFIT])
    results.write_flags(engine, NIGHT, 1, run_id, [DRIFT])
    assert results.read_flags(engine, NIGHT) == (MISFIT,)
    assert results.read_flags(engine, NIGHT, 1) == (DRIFT,)


def test_links_come_back_by_scale(engine: sa.Engine, run_id: str) -> None:
    other = ScaleLink("algebra", "none", 1.0, 0.0, 0, {}, True)
    results.write_links(engine, NIGHT, 1, run_id, [LINK, other])
    assert results.read_links(engine, NIGHT) == (other, LINK)
    assert results.read_flags(engine, NIGHT) == ()
