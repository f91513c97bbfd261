"""Flags over the nights of a programme: what opened, and that re-runs tell the same."""

from dataclasses import replace
from datetime import date

import dagster as dg

from calibration_pipeline.orchestration.flag_metadata import of_reviews
from calibration_pipeline.orchestration.flag_reviews import reference_state, reviews_of_night
from calibration_pipeline.policy.flag_reviews import count_flags
from calibration_pipeline.records import Flag, FlagCounts, FlagEpisode, FlagReview
from calibration_pipeline.store.flag_decisions import record_decisions
from calibration_pipeline_tests.programme import NIGHTS, POLICY, Programme

# So that the few answers of this programme raise flags at all.
EAGER = replace(POLICY, flags=replace(POLICY.flags, review_only_credible=False, persistent_z=0.5))


def standing(programme: Programme, night: date) -> list[tuple[object, ...]]:
    reviews = reviews_of_night(programme.store(), night, EAGER)
    return [(r.episode.key, r.episode.reason, r.status, r.since) for r in reviews]


def test_a_flag_opens_once_and_a_night_run_again_tells_what_it_told(
    calibrated_copy: Programme,
) -> None:
    before = [standing(calibrated_copy, night) for night in NIGHTS]
    assert any(before[3])
    newest = reviews_of_night(calibrated_copy.store(), NIGHTS[-1], EAGER)
    lasting = [r for r in newest if len(r.episode.seen) > 2]
    assert lasting
    opened = {(r.episode.key, r.episode.reason): r.episode.opened_on for r in newest}
    for review in lasting:  # it was there on the nights between, since the same night
        night = review.episode.last_seen
        subject = (review.episode.key, review.episode.reason)
        earlier = {(k, reason): since for k, reason, _, since in standing(calibrated_copy, night)}
        assert earlier[subject] == opened[subject]
    calibrated_copy.run(NIGHTS[4])
    assert [standing(calibrated_copy, night) for night in NIGHTS] == before


def test_a_decision_changes_later_nights_alone(calibrated_copy: Programme) -> None:
    before = [standing(calibrated_copy, night) for night in NIGHTS]
    seen = NIGHTS[4]
    open_then = [
        r.episode
        for r in reviews_of_night(calibrated_copy.store(), seen, EAGER)
        if r.status == "open"
    ]
    assert open_then
    record_decisions(
        calibrated_copy.engine, open_then, "acknowledge", night=seen, reason="seen", decided_by="r"
    )
    after = [standing(calibrated_copy, night) for night in NIGHTS]
    assert after[:5] == before[:5]
    assert after[5] != before[5]
    assert {s for _, _, s, _ in after[5]} >= {"acknowledged"}


def test_the_reference_shares_no_day_with_the_window(calibrated: Programme) -> None:
    store = calibrated.store()
    reference = reference_state(store, NIGHTS[6], POLICY)
    assert reference is not None
    assert reference.partition == NIGHTS[6 - POLICY.window_days]
    assert reference_state(store, NIGHTS[POLICY.window_days - 1], POLICY) is None


def test_new_open_and_resolved_flags_are_counted_apart() -> None:
    night, earlier = date(2026, 3, 9), date(2026, 3, 1)
    flag = Flag(("i1", 1), "misfit_infit", 1.5, 1.0, 1.3, 4.0, True, "noisy", "model", earlier)
    statuses = [("open", night)] * 2 + [("open", earlier), ("acknowledged", earlier)]
    statuses += [("dismissed", earlier), ("resolved", night), ("resolved", earlier)]
    reviews = [
        FlagReview(FlagEpisode(flag.key, flag.reason, ((since, flag),)), status, since)
        for status, since in statuses
    ]
    found = dg.AssetMaterialization("asset", metadata=of_reviews(reviews, night)).metadata
    shown = {name: value.value for name, value in found.items()}
    assert (shown["new flags"], shown["open flags"], shown["acknowledged flags"]) == (2, 4, 1)
    counts = count_flags(reviews, night)
    assert str(counts) == "4 flags open, 2 new, 1 resolved"
    assert FlagCounts.from_named(counts.named() | {"responses": 9}) == counts
    assert FlagCounts.from_named({"responses": 9}) is None
    assert (shown["dismissed flags"], shown["resolved tonight"]) == (1, 1)
    assert f"model ({earlier})" in str(shown["new tonight"])
    assert str(shown["new tonight"]).count("| i1 |") == 2
