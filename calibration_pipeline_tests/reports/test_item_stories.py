"""Which flagged items are drawn, and against what."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from calibration_pipeline.records import (
    AnswersSince,
    CalibrationState,
    Flag,
    ItemEstimate,
    ObservedProportions,
)
from calibration_pipeline.reports.charts import Pencil
from calibration_pipeline.reports.flag_standing import FlagStanding
from calibration_pipeline.reports.item_stories import ItemEvidence, item_stories, items_to_draw
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import draw_items, make_bank

NOTHING = ItemEvidence({}, {}, None)


def flag(item: str, z: float, reason: str = "difficulty_drift") -> Flag:
    return Flag((item, 1), reason, 0.5, 0.3, 0.15, z, True, f"why {item}")


def standing(new: list[Flag], known: list[Flag]) -> FlagStanding:
    return FlagStanding(tuple(new), tuple(known), (), (flag("weak", 9.0),), (), ())


@pytest.fixture
def state() -> CalibrationState:
    bank = make_bank(6)
    parameters = draw_items(6, np.random.default_rng(0))
    return make_state(bank, parameters, is_anchor=[False, True, False, False, False, False])


def test_new_items_come_first_and_then_the_strongest_evidence() -> None:
    found, count = items_to_draw(
        standing(
            [flag("a", 3.1), flag("b", -4.0), flag("b", 1.0, "misfit_infit")],
            [flag("c", 50.0), flag("a", 60.0, "misfit_infit"), flag("d", np.inf)],
        ),
        limit=3,
    )
    assert [key[0] for key in found] == ["b", "a", "c"]
    assert count == 4


def test_a_curve_is_held_against_a_window_ago_or_else_last_night(state: CalibrationState) -> None:
    key = state.keys[2]
    flags = standing([Flag(key, "difficulty_drift", 0, 0, 0, 4.0, True, "moved")], [])
    parent = replace(state, partition=date(2025, 12, 31))
    ago = replace(state, partition=date(2025, 12, 2))

    def said(reference: CalibrationState | None, before: CalibrationState | None) -> str:
        evidence = replace(NOTHING, reference=reference)
        (story,) = item_stories([key], flags, state, before, evidence, 1.0, Pencil(draws=False))
        assert story.flags == (("Difficulty drift", "moved"),)
        return story.charts[0].summary

    assert "2025-12-02, before:" in said(ago, parent)
    assert "2025-12-31, before:" in said(None, parent)
    assert "before" not in said(None, None)
    unknown = replace(ago, parameters=np.full_like(ago.parameters, np.nan))
    assert "2025-12-31, before:" in said(unknown, parent)


def test_an_anchor_is_held_against_its_reference(state: CalibrationState) -> None:
    shadow = state.shadow_parameters.copy()
    shadow[1] = [1.5, 0.75, 0.1]
    state = replace(state, shadow_parameters=shadow)
    key = state.keys[1]
    unfitted = ItemEstimate(date(2025, 12, 30), 0.0, 0.0, 0, True)
    nights = (unfitted, ItemEstimate(state.partition, 0.75, 0.2, 90, True))
    (story,) = item_stories(
        [key],
        standing([Flag(key, "anchor_drift", 0, 0, 0, 4.0, True, "moved")], []),
        state,
        None,
        replace(NOTHING, estimates={key: nights}),
        1.0,
        Pencil(draws=False),
    )
    curve, trajectory = story.charts
    assert "refitted: discrimination 1.50, difficulty 0.75, guessing 0.10" in curve.summary
    assert f"Reference: discrimination {state.parameters[1, 0]:.2f}" in curve.summary
    held = f"held at {state.parameters[1, 1]:.2f}".replace("-", "−")
    assert held in trajectory.summary
    assert [row[0] for row in trajectory.rows] == [str(state.partition)], "a night without a fit"


def test_a_suspected_leak_is_told_with_its_answers_since_the_onset(state: CalibrationState) -> None:
    key, night = state.keys[2], date(2026, 1, 1)
    leak = Flag(key, "suspected_leak", 9.0, 0.0, 8.0, 4.0, True, "suspected")
    flags = standing([leak, Flag(key, "misfit_infit", 1.5, 1.0, 1.3, 4.0, True, "misfits")], [])
    some = np.array([40])
    seen = ObservedProportions(
        np.array([0.1]), some, some - 5, np.array([0.6]), AnswersSince(night, 20, 19, 0.61)
    )

    def told(observed: ObservedProportions) -> dict[str, str]:
        evidence = replace(NOTHING, observed={key: observed})
        (story,) = item_stories([key], flags, state, None, evidence, 1.0, Pencil(draws=False))
        return dict(story.flags)

    said = told(seen)
    assert said["Suspected leak"] == (
        "suspected. Since 2026-01-01 19 of its 20 answers in the window were right (95%); its "
        "parameters expect 61%."
    )
    assert said["Misfit (infit)"] == "misfits"
    assert told(replace(seen, since_onset=None))["Suspected leak"] == "suspected"
