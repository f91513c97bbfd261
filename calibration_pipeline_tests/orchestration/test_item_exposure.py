"""Exposure control in a real night: stored with the version, once, and never in its way."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pytest

from calibration_pipeline.definitions import open_dry_run_store
from calibration_pipeline.errors import DatabaseUnavailableError
from calibration_pipeline.orchestration import exposure_metadata
from calibration_pipeline.orchestration.assets import item_exposure
from calibration_pipeline.orchestration.assets.item_exposure import CONTROLLED
from calibration_pipeline.orchestration.exposure_control import control_night
from calibration_pipeline.policy.exposure_configuration import ExposureConfiguration
from calibration_pipeline.store.bank import record_decision
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline_tests.programme import LAST, NIGHTS, Programme, copy_of

EXPOSURE = ExposureConfiguration(
    method="eligibility",
    answers=8,
    top=1,
    candidates=200,
    verifying_candidates=4000,
    tolerance=0.2,
)
VERSION = len(NIGHTS) + 1


@pytest.fixture(scope="module")
def controlled(
    embedded_server: EmbeddedServer,
    calibrated: Programme,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Programme]:
    """The last night run again with control, one item retired, and engines that report."""
    folder = tmp_path_factory.mktemp("controlled") / "home"
    with copy_of(calibrated, embedded_server, folder) as own:
        own = own.with_policy(exposure=EXPOSURE)
        (key, *_) = own.store().items_of(1)
        record_decision(
            own.engine,
            key.key,
            "retire",
            effective_from=LAST,
            reason="known",
            decided_by="a test",
        )
        own.run(LAST)
        yield own
        own.close()


def count(programme: Programme) -> int:
    return int(programme.scalar("SELECT count(*) FROM calibration.exposure_controls"))


def shown(programme: Programme) -> dict[str, object]:
    return programme.materializations("item_exposure")[LAST.isoformat()]


def check_passed(programme: Programme) -> bool:
    """Whether the check passed when the asset was made last."""
    events = programme.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey("item_exposure"), CONTROLLED), limit=1
    )
    evaluation = events[0].event.dagster_event.asset_check_evaluation_data
    return evaluation.passed


def test_the_version_has_a_control_of_the_items_that_may_be_given(controlled: Programme) -> None:
    store = controlled.store()
    assert store.current_version() == VERSION
    (found,) = store.exposure_of(VERSION)
    retired = store.items_of(1)[0].key
    assert retired not in found.keys
    assert len(found.keys) == len(store.items_of(VERSION)) - 1
    assert found.worst_rate_without == 1.0
    assert found.worst_rate <= 0.2 * 1.2
    population = store.manifest_of(VERSION).population["main"]
    assert (found.settings["mean"], found.settings["sd"]) == (
        population["mean"],
        population["sd"],
    )
    night = (
        "SELECT partition FROM calibration.runs JOIN calibration.exposure_controls USING (run_id)"
    )
    assert controlled.scalar(night) == LAST
    assert controlled.scalar("SELECT count(*) FROM calibration.current_exposure") == len(found.keys)


def test_the_night_shows_what_is_reached_and_what_is_seen(controlled: Programme) -> None:
    (found,), metadata = controlled.store().exposure_of(VERSION), shown(controlled)
    assert metadata["worst rate"] == found.worst_rate
    assert metadata["precision lost"] == found.precision_lost > 0.0
    assert metadata["items held back"] == found.items_held_back
    assert "| main | eligibility | 20.0% |" in str(metadata["control"])
    first = str(metadata["most seen items"]).splitlines()[2].split("|")
    assert [cell.strip()[-1] for cell in first[2:5]] == ["%"] * 3
    assert "reported proposals" not in metadata
    assert check_passed(controlled)


def test_the_same_night_again_writes_nothing_new_and_compares_what_engines_report(
    controlled: Programme,
) -> None:
    insert = """
        INSERT INTO calibration.item_proposals
            (report_id, day, version, attempt, item_id, content_version, proposed, given)
        SELECT 'r', :day, version, attempt, item_id, content_version, 1000,
               CASE WHEN item_id = :one THEN 1000 ELSE round(1000 * probability) END
        FROM calibration.current_exposure
    """
    (found,) = controlled.store().exposure_of(VERSION)
    one = found.keys[int(found.probability[0].argmin())][0]
    controlled.execute(insert, day=LAST - timedelta(days=1), one=one)
    assert controlled.night(LAST).outcome == "completed"
    assert controlled.store().current_version() == VERSION
    assert count(controlled) == 1
    metadata = shown(controlled)
    assert metadata["worst rate"] == found.worst_rate
    assert metadata["reported proposals"] == 1000 * len(found.keys)
    assert metadata["items opened too often or too rarely"] == 1
    assert one in str(metadata["acceptance by engines' reports"])


def test_a_dry_run_finds_and_stores_nothing(controlled: Programme) -> None:
    other = controlled.with_policy(maximum_exposure_rate=0.3)
    before = count(controlled)
    with open_dry_run_store(other.settings) as store:
        found = control_night(store, LAST, VERSION, other.settings.policy)
    assert [control.maximum_rate for control in found.controls] == [0.3]
    assert count(controlled) == before


def test_a_maximum_that_cannot_be_kept_holds_nothing_up(controlled: Programme) -> None:
    impossible = controlled.with_policy(maximum_exposure_rate=0.05)
    assert impossible.night(LAST).outcome == "completed"
    assert impossible.store().current_version() == VERSION + 1
    assert impossible.store().exposure_of(VERSION + 1) == ()
    metadata = shown(impossible)
    assert "8/149 = 0.054, above the maximum of 0.05" in str(metadata["not controlled"])
    assert not check_passed(impossible)
    assert "highest exposure rate" in metadata
    assert "worst rate" not in metadata


def test_a_search_that_falls_short_is_stored_and_says_so(controlled: Programme) -> None:
    hasty = ExposureConfiguration(
        method="sympson-hetter",
        answers=8,
        top=1,
        iterations=1,
        candidates=200,
        verifying_candidates=1000,
    )
    short = controlled.with_policy(exposure=hasty)
    with short.store() as store:
        found = control_night(store, LAST, 1, short.settings.policy)
    (stored,) = short.store().exposure_of(1)
    assert not stored.is_reached
    (warning,) = found.warnings
    assert "of candidates, not 0.2: the search stopped too early" in warning
    metadata = exposure_metadata.of_control(found.controls, {})
    assert "| NO |" in str(metadata["control"])


def test_a_failure_costs_the_night_neither_its_page_nor_its_version(
    controlled: Programme,
) -> None:
    """A column is gone, as in a database that somebody changed: nothing foresees it."""
    controlled.execute(
        "ALTER TABLE calibration.exposure_controls RENAME COLUMN mean_sd TO mean_sd_gone"
    )
    try:
        night = controlled.night(LAST)
    finally:
        controlled.execute(
            "ALTER TABLE calibration.exposure_controls RENAME COLUMN mean_sd_gone TO mean_sd"
        )
    assert "exposure control failed:" in str(shown(controlled)["failed"])
    assert not check_passed(controlled)
    assert "page" in controlled.materializations("nightly_report")[LAST.isoformat()]
    assert night.outcome == "completed"
    assert "exposure control failed:" in night.reason


def test_what_another_run_may_mend_is_raised(controlled: Programme) -> None:
    """Otherwise a database that is restarting would leave the night without control."""
    with controlled.store() as store:
        state = store.state(LAST)

        def lost(*_: object) -> None:
            raise DatabaseUnavailableError("the database is gone: start it")

        store.version_of = lost
        with pytest.raises(DatabaseUnavailableError):
            item_exposure.tonight(
                dg.build_asset_context(), store, state, controlled.settings.policy
            )


def test_a_scale_whose_items_are_all_retired_is_named(controlled: Programme) -> None:
    store = controlled.store()
    with store:
        for item in store.items_of(1)[1:]:
            record_decision(
                controlled.engine,
                item.key,
                "retire",
                effective_from=LAST,
                reason="all",
                decided_by="a test",
            )
        found = control_night(store, LAST, VERSION, controlled.settings.policy)
    assert found.controls == ()
    (warning,) = found.warnings
    assert "scale main is not controlled: every item of it is retired" in warning
