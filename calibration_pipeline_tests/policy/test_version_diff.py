"""Two versions compared: every kind of change is seen, counted, and put in order."""

from dataclasses import replace

import pytest

from calibration_pipeline.policy.version_diff import diff_versions
from calibration_pipeline.records import SnapshotItem
from calibration_pipeline_tests.store.examples import snapshot_items

ITEM = replace(
    snapshot_items(1)[0],
    discrimination=1.0,
    difficulty=0.0,
    guessing=0.2,
    discrimination_se=0.1,
    difficulty_se=0.1,
    guessing_se=0.0,
)


def pool(**changes: dict[str, object]) -> list[SnapshotItem]:
    """Items by name, each the example with changes."""
    return [replace(ITEM, key=(name, 1), **each) for name, each in changes.items()]  # type: ignore[arg-type]


def test_a_version_differs_in_nothing_from_itself() -> None:
    found = diff_versions(snapshot_items(), snapshot_items()[::-1])
    assert found.counts == {
        "compared": 4,
        "moved": 0,
        "graduated": 0,
        "became_provisional": 0,
        "source_changed": 0,
        "came": 0,
        "went": 0,
    }
    assert found.changes() == ()
    assert [change.key[0] for change in found.items] == ["i0", "i1", "i2", "i3"]


def test_the_largest_shift_in_difficulty_comes_first() -> None:
    before = pool(a={}, b={}, c={}, d={})
    after = pool(a={"difficulty": 0.1}, b={"difficulty": -0.3}, c={}, d={"difficulty": 0.3})
    found = diff_versions(before, after)
    assert [change.key[0] for change in found.items] == ["b", "d", "a", "c"]
    assert [change.key[0] for change in found.changes()] == ["b", "d", "a"]
    assert [change.key[0] for change in found.changes(moved_by=0.2)] == ["b", "d"]
    assert found.counts["moved"] == 3


def test_shifts_are_stated_in_published_standard_errors() -> None:
    before = pool(a={})
    after = pool(a={"difficulty": 0.2, "difficulty_se": 0.05, "discrimination": 0.7,
                    "guessing": 0.25})  # fmt: skip
    (change,) = diff_versions(before, after).items
    assert change.difficulty is not None
    assert change.discrimination is not None
    assert change.guessing is not None
    assert (change.difficulty.by, change.difficulty.in_standard_errors) == (0.2, 2.0)
    assert change.discrimination.by == pytest.approx(-0.3)
    assert change.discrimination.in_standard_errors == pytest.approx(-3.0)
    assert change.guessing.in_standard_errors == float("inf")


def test_a_parameter_other_than_difficulty_is_a_move_too() -> None:
    found = diff_versions(pool(a={}), pool(a={"guessing": 0.21}))
    assert found.counts["moved"] == 1
    assert len(found.changes()) == 1
    assert found.changes(moved_by=0.1) == ()


def test_items_that_came_and_went_are_named_and_not_compared() -> None:
    found = diff_versions(pool(old={}, same={}), pool(new={}, same={}))
    assert {change.key[0]: change.presence for change in found.items} == {
        "old": "went",
        "same": "both",
        "new": "came",
    }
    assert [change.key[0] for change in found.changes(moved_by=9.0)] == ["new", "old"]
    assert all(change.difficulty is None for change in found.changes())
    assert (found.counts["came"], found.counts["went"], found.counts["compared"]) == (1, 1, 1)


def test_another_content_version_is_another_item() -> None:
    edited = [replace(ITEM, key=("a", 2))]
    assert diff_versions(pool(a={}), edited).counts["came"] == 1


def test_tracks_and_sources_are_changes_without_a_move() -> None:
    before = pool(up={}, down={"track": "trusted"}, other={"source": "author"}, same={})
    after = pool(up={"track": "trusted"}, down={}, other={}, same={})
    found = diff_versions(before, after)
    assert [c.key[0] for c in found.items if c.graduated] == ["up"]
    assert [c.key[0] for c in found.items if c.became_provisional] == ["down"]
    assert [c.key[0] for c in found.items if c.source_changed] == ["other"]
    assert {c.key[0] for c in found.changes(moved_by=1.0)} == {"up", "down", "other"}
    counted = ("graduated", "became_provisional", "source_changed", "moved")
    assert [found.counts[name] for name in counted] == [1, 1, 1, 0]


def test_discriminations_are_compared_whatever_constant_they_are_stated_in() -> None:
    after = pool(a={"discrimination": 1.0 / 1.702, "discrimination_se": 0.1 / 1.702})
    (change,) = diff_versions(pool(a={}), after, (1.0, 1.702)).items
    assert change.discrimination is not None
    assert change.discrimination.by == pytest.approx(0.0, abs=1e-12)
    (as_stated,) = diff_versions(pool(a={}), after).items
    assert as_stated.discrimination is not None
    assert as_stated.discrimination.by == pytest.approx(-0.412, abs=1e-3)
