"""The switch: who froze publication, since when, and why; the newest decision counts."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.publication_switch import freeze, read_switch, thaw


def test_publication_is_open_until_somebody_freezes_it(engine: sa.Engine) -> None:
    assert read_switch(engine) is None
    assert not thaw(engine, decided_by="ada", reason="just in case")
    assert read_switch(engine) is None


def test_the_newest_decision_counts(engine: sa.Engine) -> None:
    assert freeze(engine, decided_by="ada", reason="exam week")
    found = read_switch(engine)
    assert found is not None
    assert (found.is_frozen, found.decided_by, found.reason) == (True, "ada", "exam week")
    assert abs(datetime.now(UTC) - found.decided_at) < timedelta(minutes=1)
    since = f"{found.decided_at:%Y-%m-%d %H:%M} UTC"
    assert found.describe() == f"publication is frozen since {since} by ada: exam week"
    assert thaw(engine, decided_by="bob", reason="exams are over")
    found = read_switch(engine)
    assert found is not None
    assert (found.is_frozen, found.decided_by) == (False, "bob")


def test_frozen_twice_the_first_decision_stands(engine: sa.Engine) -> None:
    freeze(engine, decided_by="ada", reason="exam week")
    assert not freeze(engine, decided_by="bob", reason="me too")
    found = read_switch(engine)
    assert found is not None
    assert found.decided_by == "ada"


@pytest.mark.parametrize("change", [freeze, thaw])
def test_a_decision_needs_a_reason(engine: sa.Engine, change: object) -> None:
    with pytest.raises(BadInputError, match="need a reason"):
        change(engine, decided_by="ada", reason=" ")  # type: ignore[operator]
    assert read_switch(engine) is None
