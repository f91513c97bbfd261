"""The whole chain in one run over a range: what it records, publishes and writes."""

from dataclasses import replace
from datetime import timedelta

import dagster as dg
import pytest
import sqlalchemy as sa

from calibration_pipeline.definitions import build_definitions
from calibration_pipeline.policy.recovery import measure_recovery
from calibration_pipeline.policy.simulated_programme import simulate_programme
from calibration_pipeline.store.snapshots import current_version, list_snapshots, read_manifest
from calibration_pipeline.store.tables import response_log, run_outcomes, runs
from calibration_pipeline_tests.programme import (
    ANSWERS_A_DAY,
    FIRST,
    LAST,
    NIGHTS,
    PLAN,
    POLICY,
    Programme,
)

ASSETS = (
    "responses",
    "item_fits",
    "item_flags",
    "anchor_link",
    "calibration_snapshot",
    "candidate_abilities",
    "item_exposure",
    "cold_start",
    "nightly_report",
    "night_outcome",
)
CHECKS = {
    ("responses", "few_rows_were_quarantined"),
    ("item_fits", "em_converged"),
    ("item_fits", "fit_is_accepted"),
    ("item_fits", "programme_is_ready"),
    ("item_flags", "no_anchor_drifted_credibly"),
    ("anchor_link", "linking_constants_are_within_bounds"),
    ("anchor_link", "no_sign_that_all_anchors_moved"),
    ("calibration_snapshot", "audit_passed"),
    ("item_exposure", "exposure_controlled"),
}


@pytest.mark.parametrize("asset", ASSETS)
def test_every_night_of_every_asset_has_its_own_metadata(calibrated: Programme, asset: str) -> None:
    found = calibrated.materializations(asset)
    assert set(found) == {night.isoformat() for night in NIGHTS}
    assert all(found.values())
    assert not any("skipped" in metadata for metadata in found.values())


def test_the_figures_are_those_of_the_night(calibrated: Programme) -> None:
    fits = calibrated.materializations("item_fits")
    for number, night in enumerate(NIGHTS):
        shown, state = fits[str(night)], calibrated.state(night)
        days = min(number + 1, POLICY.window_days)
        assert shown["responses in window"] == days * ANSWERS_A_DAY
        assert shown["days in window"] == days
        assert shown["state digest"] == state.digest
        expected = str(NIGHTS[number - 1]) if number else "the first night"
        assert shown["starts from"] == expected
    day = calibrated.materializations("responses")[str(LAST)]
    assert (day["dagster/row_count"], day["sessions"]) == (ANSWERS_A_DAY, PLAN.sessions_per_day)
    assert (day["quarantined"], day["revision"]) == (0, 1)


def test_every_check_has_run_and_passed(calibrated: Programme) -> None:
    (run,) = calibrated.instance.get_runs()
    records = calibrated.instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    results = {}
    for record in records:
        assert record.event_log_entry.dagster_event is not None
        result = record.event_log_entry.dagster_event.asset_check_evaluation_data
        results[result.asset_key.to_user_string(), result.check_name] = result.passed
    assert results == dict.fromkeys(CHECKS, True)


def test_every_night_publishes_a_version_that_follows_the_one_before(
    calibrated: Programme,
) -> None:
    manifests = list_snapshots(calibrated.engine)[::-1]
    assert [(m.version, m.partition) for m in manifests] == list(enumerate(NIGHTS, start=1))
    assert [m.parent_version for m in manifests] == [None, *range(1, len(NIGHTS))]
    assert current_version(calibrated.engine) == len(NIGHTS)
    newest = manifests[-1]
    assert (newest.window_start, newest.window_end) == (LAST - timedelta(days=3), LAST)
    assert newest.configuration["window_days"] == POLICY.window_days
    assert newest.package_versions["dagster"] == dg.__version__


def test_the_run_log_tells_who_ran_what_with_which_outcome(calibrated: Programme) -> None:
    (run,) = calibrated.instance.get_runs()
    query = sa.select(runs, run_outcomes).join_from(runs, run_outcomes).order_by(runs.c.partition)
    with calibrated.engine.connect() as connection:
        rows = list(connection.execute(query))
    assert [row.partition for row in rows] == list(NIGHTS)
    assert {row.outcome for row in rows} == {"completed"}
    assert {row.triggered_by for row in rows} == {"a test"}
    assert {row.orchestrator_run_id for row in rows} == {run.run_id}
    assert [row.counts["version"] for row in rows] == list(range(1, len(NIGHTS) + 1))
    assert all(set(row.timings) == set(ASSETS) - {"night_outcome"} for row in rows)
    for row in rows:
        version = read_manifest(calibrated.engine, row.counts["version"])
        assert version.run_id == row.run_id


def test_every_night_has_a_page_of_its_own(calibrated: Programme) -> None:
    folder = calibrated.settings.home / "reports"
    assert {path.name for path in folder.glob("*.html")} == {
        "index.html",
        *(f"{night}.html" for night in NIGHTS),
    }
    assert all(oct(path.stat().st_mode & 0o777) == "0o600" for path in folder.glob("*.html"))
    index = (folder / "index.html").read_text()
    assert all(f"{night}.html" in index for night in NIGHTS)


def test_abilities_stand_under_pseudonyms_for_every_session(calibrated: Programme) -> None:
    n_sessions = calibrated.scalar("SELECT count(*) FROM calibration.candidate_abilities")
    assert n_sessions == PLAN.days * PLAN.sessions_per_day


def test_no_candidate_or_session_id_leaves_the_database(calibrated: Programme) -> None:
    with calibrated.engine.connect() as connection:
        ids = set(connection.scalars(sa.select(response_log.c.candidate_id).distinct()))
        ids |= set(connection.scalars(sa.select(response_log.c.session_id).distinct()))
    shown = [str(calibrated.materializations(asset)) for asset in ASSETS]
    pages = [path.read_text() for path in (calibrated.settings.home / "reports").glob("*.html")]
    archived = [
        path.read_bytes().decode("latin-1")
        for path in (calibrated.settings.home / "archive").rglob("*.parquet")
    ]
    assert len(ids) > PLAN.sessions_per_day
    for text in (*shown, *pages, *archived):
        assert not [name for name in ids if name in text]


@pytest.mark.slow
def test_nights_one_by_one_give_the_same_bytes_as_one_run(
    calibrated: Programme, programme: Programme
) -> None:
    for night in NIGHTS:
        assert programme.night(night).outcome == "completed"
    assert programme.digests() == calibrated.digests()


@pytest.mark.slow
def test_two_runs_over_parts_give_the_same_bytes_under_another_pseudonym_key(
    calibrated: Programme, programme: Programme
) -> None:
    keyed = replace(
        programme,
        settings=programme.settings.model_validate(
            programme.settings.model_dump() | {"pseudonym_key": "another key"}
        ),
    )
    keyed.run(FIRST, NIGHTS[2])
    keyed.run(NIGHTS[3], LAST)
    assert keyed.digests() == calibrated.digests()
    pseudonyms = "SELECT min(candidate_pseudonym) FROM calibration.candidate_abilities"
    assert keyed.scalar(pseudonyms) != calibrated.scalar(pseudonyms)
    assert not (keyed.settings.home / "pseudonym.key").exists()


def test_the_published_values_are_near_the_truth(calibrated: Programme) -> None:
    """Not how well the estimator does, but that nothing was mixed up on the way."""
    pool = simulate_programme(PLAN).pool
    items = calibrated.store().items_of(len(NIGHTS))
    assert [item.key[0] for item in items] == list(pool.item_ids)
    chosen = pool.is_anchor.copy()
    difficulty = measure_recovery(items, pool.truth, chosen)[1]
    assert difficulty.rmse == 0.0
    for row, item in enumerate(items):
        chosen[row] = item.source == "fitted"
    difficulty = measure_recovery(items, pool.truth, chosen)[1]
    assert difficulty.items > 80
    assert difficulty.correlation > 0.8


def test_every_asset_can_be_materialised_again_by_itself(calibrated_copy: Programme) -> None:
    definitions = build_definitions(calibrated_copy.settings)
    job = definitions.resolve_implicit_global_asset_job_def()
    for asset in ASSETS:
        result = job.execute_in_process(
            instance=calibrated_copy.instance,
            partition_key=LAST.isoformat(),
            asset_selection=[dg.AssetKey(asset)],
        )
        assert result.success
        assert calibrated_copy.materializations(asset).keys() == {LAST.isoformat()}


def test_a_later_asset_alone_says_what_it_lacks(programme: Programme) -> None:
    job = build_definitions(programme.settings).resolve_implicit_global_asset_job_def()
    with pytest.raises(dg.Failure, match=f"{FIRST} has no fit: materialise item_fits"):
        job.execute_in_process(
            instance=programme.instance,
            partition_key=FIRST.isoformat(),
            asset_selection=[dg.AssetKey("item_flags")],
        )


def test_the_window_may_reach_before_the_first_partition(programme: Programme) -> None:
    early = replace(programme, settings=programme.settings.model_copy(update={"first_day": FIRST}))
    assert early.night(FIRST).outcome == "completed"
