"""Flags open, persist and resolve: none is raised anew every night."""

from dataclasses import replace

import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_configuration import FlagConfiguration
from calibration_pipeline.policy.flag_episodes import flag_episodes
from calibration_pipeline.policy.flag_reasons import was_judged
from calibration_pipeline_tests.policy.flag_nights import CHANGE, ENOUGH, FEW, KEY, LEVEL, history

SETTINGS = CalibrationConfiguration(
    window_days=10, flags=FlagConfiguration(resolve_nights=3, dismissal_growth=2.0)
)


def episodes(nights: str, reason: str = LEVEL, settings=SETTINGS) -> list[str]:
    """Episodes drawn below the nights: o where one is seen, - where it is open, x where over."""
    drawn = []
    known = history(nights, reason)
    for episode in flag_episodes(known, settings):
        seen = {night for night, _ in episode.seen}
        line = ""
        for night in known:
            is_after = episode.resolved_on is not None and night.partition > episode.resolved_on
            if night.partition < episode.opened_on or is_after:
                line += " "
            elif night.partition == episode.resolved_on:
                line += "x"
            else:
                line += "o" if night.partition in seen else "-"
        drawn.append(line)
    return drawn


@pytest.mark.parametrize(
    ("nights", "expected"),
    [
        ("....", []),
        ("wnw.", []),  # nothing is credible
        (".CCC", [" ooo"]),  # one flag, not three
        ("Cwww", ["oooo"]),  # weaker evidence keeps what strong evidence opened
        ("Cn..", ["o--x"]),  # noise doesn't
        ("C..C", ["o--o"]),  # at the threshold: no flapping
        ("C...C", ["o--x ", "    o"]),
        ("C???", ["o---"]),  # too few answers to see a flag are no answer to it
        ("C.?.?.", ["o----x"]),
        ("C..C..", ["o--o--"]),  # counted anew from the last time it was seen
    ],
)
def test_the_course_of_a_flag(nights, expected):
    assert episodes(nights) == expected


def test_a_change_stays_open_for_a_window_though_the_item_agrees_with_itself_by_then():
    assert episodes("C.........", CHANGE) == ["o---------"]
    assert episodes("C..........C", CHANGE) == ["o---------x ", "           o"]


def test_all_thresholds_may_be_reviewed():
    everything = replace(SETTINGS, flags=replace(SETTINGS.flags, review_only_credible=False))
    assert episodes("nn.n...", settings=everything) == ["oo-o--x"]


def test_items_and_reasons_have_episodes_of_their_own():
    other = ("i0", 2)
    nights = [
        replace(
            first,
            flags=first.flags + second.flags + third.flags,
            items=first.items | second.items | third.items,
        )
        for first, second, third in zip(
            history("C..."), history(".C..", CHANGE), history("..CC", LEVEL, other), strict=True
        )
    ]
    found = [(e.key, e.reason, len(e.seen)) for e in flag_episodes(nights, SETTINGS)]
    assert found == [(other, LEVEL, 2), (KEY, LEVEL, 1), (KEY, CHANGE, 1)]


def test_later_nights_add_to_a_history_and_change_nothing_in_it():
    """Whether nights are run one by one or in a backfill, each sees what came before it."""
    whole = history("Cw..C...C?.w...")
    for n in range(1, len(whole)):
        before = flag_episodes(whole[:n], SETTINGS)
        after = flag_episodes(whole[: n + 1], SETTINGS)
        assert [e.opened_on for e in after][: len(before)] == [e.opened_on for e in before]
        over = [e for e in before if e.resolved_on]
        assert [e for e in after if e in over] == over


def test_a_night_without_a_flag_is_an_answer_only_where_it_could_have_seen_one():
    assert was_judged(LEVEL, ENOUGH, SETTINGS)
    assert not was_judged(LEVEL, FEW, SETTINGS)
    assert not was_judged(LEVEL, None, SETTINGS)
    anchor = replace(ENOUGH, is_updated=False, is_anchor=True)
    assert was_judged("anchor_drift", anchor, SETTINGS)
    assert not was_judged("anchor_drift", replace(anchor, window_count=50), SETTINGS)
    assert was_judged("anchor_drift", FEW, SETTINGS)  # it is no anchor any more
    assert not was_judged("differential_functioning", replace(ENOUGH, is_compared=False), SETTINGS)
    assert not was_judged("low_discrimination", replace(ENOUGH, is_updated=False), SETTINGS)
    assert was_judged("low_discrimination", anchor, SETTINGS)
