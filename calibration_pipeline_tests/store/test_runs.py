"""The run log: a start, and one end."""

import pytest
import sqlalchemy as sa

from calibration_pipeline.store import runs
from calibration_pipeline.store.tables import run_outcomes


def test_a_run_ends_once(engine: sa.Engine, run_id: str) -> None:
    runs.close_run(engine, run_id, "completed", counts={"items": 3}, timings={"fit": 1.5})
    with engine.connect() as connection:
        row = connection.execute(sa.select(run_outcomes)).one()
    assert (row.outcome, row.counts, row.timings) == ("completed", {"items": 3}, {"fit": 1.5})
    with pytest.raises(sa.exc.IntegrityError):
        runs.close_run(engine, run_id, "failed", counts={}, timings={})


def test_an_unknown_outcome_is_refused(engine: sa.Engine, run_id: str) -> None:
    with pytest.raises(ValueError, match="outcome must be one of"):
        runs.close_run(engine, run_id, "fine", counts={}, timings={})
