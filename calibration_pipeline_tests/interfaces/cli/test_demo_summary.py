"""What the demo says of the faults that its simulator has hidden."""

from datetime import date

import pytest

from calibration_pipeline.interfaces.cli.demo_summary import _print_faults
from calibration_pipeline.policy.flag_reviews import OPEN, RETIRED
from calibration_pipeline.policy.simulated_programme import SimulationPlan, simulate_programme
from calibration_pipeline.records import Flag, FlagEpisode, FlagReview

PLAN = SimulationPlan(
    last_day=date(2026, 3, 30), days=3, items=200, anchors=24, miskeyed=1, leaked=1,
    leaked_from=date(2026, 3, 30),
)  # fmt: skip
POOL = simulate_programme(PLAN).pool
LEAKED = POOL.item_ids[POOL.is_leaked.argmax()]
HEALTHY = POOL.item_ids[(~POOL.is_leaked & ~POOL.is_miskeyed).argmax()]


def review(item: str, status: str) -> FlagReview:
    flag = Flag((item, 1), "suspected_leak", 18.0, 0.0, 9.0, 6.0, True, "why")
    episode = FlagEpisode(flag.key, flag.reason, ((PLAN.last_day, flag),))
    return FlagReview(episode, status, PLAN.last_day)


def test_a_fault_whose_flag_was_decided_on_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    _print_faults(PLAN, (review(LEAKED, RETIRED), review(HEALTHY, RETIRED), review(HEALTHY, OPEN)))
    shown = capsys.readouterr().out
    leaked, miskeyed = (
        next(line for line in shown.splitlines() if what in line)
        for what in ("known to 60%", "wrong key")
    )
    assert "suspected leak, 2026-03-30 (retired)" in leaked
    assert "not yet" in miskeyed
    assert "Other open flags: 1, a false alarm: nothing is wrong with its item." in shown


def test_an_open_flag_is_said_without_a_word_of_its_standing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _print_faults(PLAN, (review(LEAKED, OPEN),))
    shown = capsys.readouterr().out
    assert "suspected leak, 2026-03-30" in shown
    assert "(open)" not in shown
    assert "Other open flags" not in shown
