"""The cold-start list in the database, and the view that engines read."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from calibration_pipeline.records import ColdStartItem
from calibration_pipeline.store import states
from calibration_pipeline.store.cold_start import (
    newest_cold_start_night,
    read_cold_start,
    write_cold_start,
)
from calibration_pipeline_tests.store.examples import NIGHT, state

ITEM = ColdStartItem(
    key=("new", 2),
    scale="main",
    total_count=7,
    difficulty=0.4,
    difficulty_se=0.8,
    answers_needed=60,
    answers_cautious=None,
    answers_unaimed=90,
    abilities=(-0.5, 1.25),
    shares=(0.4, 0.6),
    path_answers=(25, 50),
    path_se=(0.5, 0.375),
)
OTHER = replace(ITEM, key=("a", 1), answers_needed=None)


@pytest.fixture
def night(engine: sa.Engine, run_id: str) -> sa.Engine:
    states.write_state(engine, state(), run_id)
    return engine


def test_a_list_comes_back_as_it_was(night: sa.Engine, run_id: str) -> None:
    assert newest_cold_start_night(night) is None
    assert read_cold_start(night, NIGHT) == ()
    write_cold_start(night, NIGHT, 1, run_id, [ITEM, OTHER])
    assert read_cold_start(night, NIGHT) == (OTHER, ITEM)
    assert newest_cold_start_night(night) == NIGHT


def test_the_newest_list_counts_even_if_it_is_empty(night: sa.Engine, run_id: str) -> None:
    write_cold_start(night, NIGHT, 1, run_id, [ITEM])
    write_cold_start(night, NIGHT, 1, run_id, [])
    assert read_cold_start(night, NIGHT) == ()
