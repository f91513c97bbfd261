"""The composition root: nothing is opened at import, and no secret is in what Dagster shows."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value

from calibration_pipeline.definitions import (
    LOGGED_PACKAGES,
    build_definitions,
    open_dry_run_store,
    open_store,
)
from calibration_pipeline.errors import BadInputError
from calibration_pipeline.orchestration.schedule import JOB
from calibration_pipeline.settings import Settings
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.schema import migrate
from calibration_pipeline.store.tables import candidate_map, suppressions
from calibration_pipeline_tests.processes import PATIENCE_SECONDS, PROJECT

URL = "postgresql://calibrator:a-pass-word@127.0.0.1:1/exams"
KEY = "a-pseudonym-key"

IMPORT = """
import json, sys
import calibration_pipeline.definitions as d
slow = "torch pyro py_irt pandas alembic scipy.optimize scipy.stats".split()
heavy = [name for name in slow if name in sys.modules]
print(json.dumps({"jobs": [job.name for job in d.defs.resolve_all_job_defs()], "heavy": heavy}))
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database_url=URL, home=tmp_path / "home", pseudonym_key=KEY)


@pytest.fixture
def migrated(database_url: str, tmp_path: Path) -> Settings:
    """Settings that name a migrated database."""
    engine = open_engine(database_url)
    migrate(engine)
    engine.dispose()
    return Settings(database_url=database_url, home=tmp_path / "home")


def test_importing_it_opens_nothing_and_writes_nothing(tmp_path: Path) -> None:
    """The database can't be reached, and there is no home: both would show."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(PROJECT)}
    for url in ({}, {"CALIBRATION_DATABASE_URL": URL}):
        ended = subprocess.run(
            [sys.executable, "-B", "-c", IMPORT],
            cwd=tmp_path,
            env=environment | url,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=True,
        )
        found = json.loads(ended.stdout)
        assert JOB in found["jobs"]
        assert found["heavy"] == []
        assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`")
def test_no_secret_is_in_what_dagster_is_told(settings: Settings) -> None:
    definitions = build_definitions(settings)
    dg.Definitions.validate_loadable(definitions)
    snapshot = RepositorySnap.from_def(definitions.get_repository_def())
    text = serialize_value(snapshot)
    assert JOB in text
    for secret in ("a-pass-word", "calibrator", KEY, "127.0.0.1", str(settings.home)):
        assert secret not in text
    assert not settings.home.exists()


def test_one_process_runs_every_asset_however_it_is_started(settings: Settings) -> None:
    """The lock belongs to a run: with a process per step, two steps would fight for it."""
    definitions = build_definitions(settings)
    for job in definitions.resolve_all_job_defs():
        assert job.executor_def.name == "in_process"


def test_every_asset_of_a_night_is_in_the_pool_that_holds_one_run(settings: Settings) -> None:
    """What only reads is in none, so that no night waits for it."""
    graph = build_definitions(settings).resolve_asset_graph()
    assets = [asset for asset in graph.assets_defs if asset.partitions_def is not None]
    assert len(assets) == 12
    for asset in assets:
        reads = asset.key in {dg.AssetKey("posterior_audit"), dg.AssetKey("second_opinion")}
        assert asset.op.pools == (set() if reads else {"calibration"})
        assert asset.backfill_policy == dg.BackfillPolicy.single_run()


def test_a_night_depends_on_its_window_and_on_the_night_before(settings: Settings) -> None:
    graph = build_definitions(settings).resolve_asset_graph()
    fits = graph.get(dg.AssetKey("item_fits"))
    assert fits.parent_keys == {dg.AssetKey("responses"), dg.AssetKey("item_fits")}
    window = fits.partition_mappings[dg.AssetKey("responses")]
    assert isinstance(window, dg.TimeWindowPartitionMapping)
    assert (window.start_offset, window.end_offset) == (-29, 0)
    assert window.allow_nonexistent_upstream_partitions
    previous = fits.partition_mappings[dg.AssetKey("item_fits")]
    assert isinstance(previous, dg.TimeWindowPartitionMapping)
    assert (previous.start_offset, previous.end_offset) == (-1, -1)


def test_nothing_holds_the_snapshot_up(settings: Settings) -> None:
    graph = build_definitions(settings).resolve_asset_graph()
    above = graph.get_ancestor_asset_keys(dg.AssetKey("calibration_snapshot"))
    assert {key.to_user_string() for key in above} == {
        "responses",
        "item_fits",
        "item_flags",
        "anchor_link",
    }


def test_days_are_those_of_the_time_zone_from_the_first_day_on(settings: Settings) -> None:
    moved = settings.model_copy(update={"first_day": date(2026, 3, 1), "timezone": "Asia/Tokyo"})
    partitions = build_definitions(moved).resolve_job_def(JOB).partitions_def
    assert isinstance(partitions, dg.TimeWindowPartitionsDefinition)
    assert partitions.timezone == "Asia/Tokyo"
    assert partitions.get_first_partition_key() == "2026-03-01"


def test_a_run_logs_its_configuration_and_packages(migrated: Settings) -> None:
    store = open_store(migrated, "a test", "run 1")
    store.engine.dispose()
    assert set(store.context.package_versions) == set(LOGGED_PACKAGES)
    assert store.context.configuration["timezone"] == "Europe/Zurich"
    assert store.context.configuration["window_days"] == 30
    assert KEY not in json.dumps(dict(store.context.configuration), default=str)


def test_the_pseudonym_key_is_the_operators_or_one_made_once(migrated: Settings) -> None:
    stores = [open_store(migrated, "a test", "run 1") for _ in range(2)]
    key_file = migrated.home / "pseudonym.key"
    assert stores[0].pseudonym_key == stores[1].pseudonym_key
    assert key_file.stat().st_mode & 0o777 == 0o600
    chosen = open_store(
        Settings(**(migrated.model_dump() | {"pseudonym_key": KEY})), "a test", "run 2"
    )
    assert chosen.pseudonym_key == KEY.encode()
    for store in (*stores, chosen):
        store.engine.dispose()


@pytest.mark.parametrize("table", [candidate_map, suppressions])
def test_no_key_is_made_where_pseudonyms_are(migrated: Settings, table: sa.Table) -> None:
    """An archived day is another such case; the tests of the command line have it."""
    assert len(open_dry_run_store(migrated).pseudonym_key) == 32
    key_file = migrated.home / "pseudonym.key"
    assert not key_file.exists()
    assert migrated.database_url is not None
    engine = open_engine(migrated.database_url.get_secret_value())
    values = {"pseudonym": b"p" * 16, "candidate_id": "ann", "is_erased": True}
    row = {name: value for name, value in values.items() if name in table.c}
    with engine.begin() as connection:
        connection.execute(sa.insert(table).values(row))
    engine.dispose()
    with pytest.raises(BadInputError, match=r"no pseudonym key .*restore the file"):
        open_store(migrated, "a test", "run 1")
    with pytest.raises(BadInputError, match=r"no pseudonym key .*restore the file"):
        open_dry_run_store(migrated)
    assert not key_file.exists()
