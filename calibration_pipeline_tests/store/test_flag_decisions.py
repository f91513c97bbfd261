"""Reviewers' decisions: dated rows, read back in the order in which they were made."""

from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import Flag, FlagEpisode
from calibration_pipeline.store.bank import (
    content_versions,
    import_bank,
    read_bank,
    read_decisions,
    record_decision,
)
from calibration_pipeline.store.flag_decisions import (
    read_flag_decisions,
    read_retirements,
    record_decisions,
)

NIGHT = date(2026, 3, 1)
KEY = ("i1", 1)


def episode(reason: str = "misfit_infit", z: float = -4.5) -> FlagEpisode:
    flag = Flag(KEY, reason, 1.5, 1.0, 1.3, z, True, "why")
    return FlagEpisode(KEY, reason, ((NIGHT, flag),))


@pytest.fixture(autouse=True)
def _bank(engine: sa.Engine, bank_csv: Path) -> None:
    import_bank(engine, bank_csv, "3PL")


def decide(engine: sa.Engine, decision: str, night: date = NIGHT, reason: str = "seen") -> None:
    record_decisions(
        engine, [episode()], decision, night=night, reason=reason, decided_by="reviewer"
    )


def test_decisions_come_back_in_order_with_the_evidence_of_their_night(engine: sa.Engine) -> None:
    decide(engine, "acknowledge")
    decide(engine, "dismiss")
    first, second = read_flag_decisions(engine)
    assert (first.decision, second.decision) == ("acknowledge", "dismiss")
    assert (second.key, second.flag_reason, second.night) == (KEY, "misfit_infit", NIGHT)
    assert (second.evidence, second.reason, second.decided_by) == (4.5, "seen", "reviewer")
    assert second.decided_at >= first.decided_at
    assert read_flag_decisions(engine, item_id="i2") == ()


def test_a_decision_holds_after_the_night_that_was_seen(engine: sa.Engine) -> None:
    decide(engine, "dismiss")
    assert read_flag_decisions(engine, before=NIGHT) == ()
    assert len(read_flag_decisions(engine, before=NIGHT + timedelta(days=1))) == 1


def test_several_flags_are_decided_on_at_once_or_not_at_all(engine: sa.Engine) -> None:
    both = [episode(), episode("misfit_outfit")]
    record_decisions(engine, both, "dismiss", night=NIGHT, reason="seen", decided_by="r")
    assert len(read_flag_decisions(engine)) == 2
    with pytest.raises(sa.exc.IntegrityError):
        record_decisions(engine, both, "forget", night=NIGHT, reason="seen", decided_by="r")
    with pytest.raises(BadInputError, match="--reason"):
        decide(engine, "dismiss", reason="  ")
    assert len(read_flag_decisions(engine)) == 2


def test_retired_items_and_since_when(engine: sa.Engine) -> None:
    def record(decision: str, on: date) -> None:
        record_decision(
            engine, KEY, decision, effective_from=on, reason="leaked", decided_by="reviewer"
        )

    later = NIGHT + timedelta(days=5)
    record("retire", NIGHT)
    record("reopen", later)
    assert read_retirements(engine, NIGHT - timedelta(days=1)) == {}
    assert read_retirements(engine, NIGHT) == {KEY: NIGHT}
    assert read_retirements(engine, later) == {}
    bank = read_bank(engine, NIGHT)
    assert [key for key, retired in zip(bank.keys, bank.is_retired, strict=True) if retired] == [
        KEY
    ]
    assert [(d.decision, d.effective_from) for d in read_decisions(engine, KEY)] == [
        ("retire", NIGHT),
        ("reopen", later),
    ]
    assert content_versions(engine, "i1") == (1,)
    assert content_versions(engine, "nobody") == ()
