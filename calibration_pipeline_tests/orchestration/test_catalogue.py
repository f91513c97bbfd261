"""Every asset has what a newcomer needs to understand it; a new one that lacks it fails here."""

import re
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
import sqlalchemy as sa
from dagster._core.definitions.freshness import CronFreshnessPolicy

from calibration_pipeline.definitions import build_definitions
from calibration_pipeline.orchestration.assets.common import GROUP
from calibration_pipeline.orchestration.catalogue.describing import described, freshness_policy
from calibration_pipeline.orchestration.catalogue.entries import ENTRIES
from calibration_pipeline.reports.inline_charts import LONGEST
from calibration_pipeline.settings import Settings
from calibration_pipeline.store.archive_format import ARCHIVE_SCHEMA
from calibration_pipeline.store.tables import metadata as tables
from calibration_pipeline_tests.policy.test_overdue import DEADLINES
from calibration_pipeline_tests.programme import NIGHTS, Programme

GRAPH = build_definitions(Settings()).resolve_asset_graph()
ASSETS = sorted(key.to_user_string() for key in GRAPH.get_all_asset_keys())
CHAIN = [name for name in ASSETS if GRAPH.get(dg.AssetKey(name)).group_name == GROUP]
PAGES = {"nightly_report"}
"""Assets whose result is a page for people: no table, so neither columns nor a count of rows."""
WITHOUT_PLOT = {"nightly_report", "night_outcome"}
"""The page has charts of its own; how a night ended is words, and seconds that plot over nights."""
NUMBERS = ("double precision", "double")


def node(name: str) -> Any:
    return GRAPH.get(dg.AssetKey(name))


@pytest.mark.parametrize("name", ASSETS)
def test_every_asset_says_what_it_is_and_whose(name: str) -> None:
    asset = node(name)
    first, *_ = asset.description.splitlines()
    assert 30 <= len(first) <= 110, "the first line stands alone in lists"
    assert "**Look at:**" in asset.description
    assert asset.owners
    assert asset.kinds
    assert asset.group_name != "default"
    assert {"holds", "read_by"} <= set(asset.tags)
    assert (asset.freshness_policy is not None) == (asset.group_name == GROUP)
    assert asset.backfill_policy is None or asset.backfill_policy.max_partitions_per_run is None


@pytest.mark.parametrize("name", sorted(set(ASSETS) - PAGES))
def test_every_column_is_explained_with_its_unit(name: str) -> None:
    schema = node(name).metadata["dagster/column_schema"]
    assert len({column.name for column in schema.columns}) == len(schema.columns)
    for column in schema.columns:
        assert column.description, column.name
        assert column.description.endswith("."), column.name
        has_unit = bool(column.tags) or (name, column.name) in UNIT_OF_ITS_ROW
        assert column.type not in NUMBERS or has_unit, column.name


UNIT_OF_ITS_ROW = {("item_flags", name) for name in ("value", "reference", "threshold")}
"""Numbers whose unit depends on the row's reason; their description says so."""


def _tables() -> list[tuple[str, str]]:
    return [(name, entry.table.removeprefix("calibration.")) for name, entry in ENTRIES.items()
            if entry.table.startswith("calibration.")]  # fmt: skip


@pytest.mark.parametrize(("name", "table"), _tables(), ids=str)
def test_columns_are_those_of_the_table(name: str, table: str) -> None:
    shown = {c.name: (c.type, c.nullable) for c in ENTRIES[name].columns}
    postgres = sa.dialects.postgresql.dialect()
    stored = {
        column.name: (column.type.compile(postgres).lower(), bool(column.nullable))
        for column in tables.tables[f"calibration.{table}"].columns
    }
    short = {"timestamp with time zone": "timestamptz"}
    assert shown == {n: (short.get(kind, kind), empty) for n, (kind, empty) in stored.items()}
    assert list(shown) == list(stored)


def test_columns_of_answers_are_those_of_the_archive() -> None:
    shown = {c.name: (c.type, c.nullable) for c in ENTRIES["responses"].columns}
    assert shown == {f.name: (str(f.type), f.nullable) for f in ARCHIVE_SCHEMA}
    assert isinstance(ARCHIVE_SCHEMA, pa.Schema)


@pytest.mark.parametrize("name", ASSETS)
def test_a_column_comes_from_columns_of_assets_above_it(name: str) -> None:
    above = {key.to_user_string() for key in GRAPH.get_ancestor_asset_keys(dg.AssetKey(name))}
    for column in ENTRIES[name].columns:
        for origin in column.origins:
            asset, _, source = origin.partition(".")
            assert asset in above | {name}, origin
            assert source in {c.name for c in ENTRIES[asset].columns}, origin


def test_every_published_value_can_be_followed_back_to_answers() -> None:
    def reaches_answers(asset: str, name: str, seen: frozenset[str] = frozenset()) -> bool:
        if asset == "responses":
            return True
        (column,) = (c for c in ENTRIES[asset].columns if c.name == name)
        steps = (origin.split(".") for origin in column.origins if origin not in seen)
        return any(reaches_answers(a, n, seen | {f"{a}.{n}"}) for a, n in steps)

    lineage = node("calibration_snapshot").metadata["dagster/column_lineage"]
    assert set(lineage.deps_by_column) >= {"discrimination", "difficulty", "guessing"}
    for name in lineage.deps_by_column:
        assert reaches_answers("calibration_snapshot", name) or name == "scale", name


def test_names_of_checks_are_true_statements() -> None:
    verbs = r"_(is|are|were|was|holds?|passed|converged|agrees|controlled|drifted|moved)(_|$)"
    keys = list(GRAPH.asset_check_keys)
    assert len(keys) == 12
    for key in keys:
        assert re.search(verbs, key.name), key.name
        spec = GRAPH.get_check_spec(key)
        assert spec.description, key.name


def test_an_asset_without_an_entry_is_refused() -> None:
    @dg.asset
    def newcomer() -> None:
        pass

    with pytest.raises(KeyError, match="newcomer"):
        described([newcomer], DEADLINES)


def test_nights_are_fresh_from_the_run_to_the_deadline_in_local_time() -> None:
    policy = freshness_policy(DEADLINES)
    assert isinstance(policy, CronFreshnessPolicy)
    assert (policy.deadline_cron, policy.timezone) == ("0 6 * * *", "Europe/Zurich")
    assert policy.lower_bound_delta.total_seconds() == 2 * 3600


@pytest.mark.parametrize("name", CHAIN)
def test_every_night_shows_figures_that_plot_a_table_and_a_plot(
    calibrated: Programme, name: str
) -> None:
    records = calibrated.instance.fetch_materializations(dg.AssetKey(name), limit=100).records
    newest: dict[str, Any] = {}
    for record in records:
        assert record.asset_materialization is not None
        partition = record.asset_materialization.partition or ""
        newest.setdefault(partition, record.asset_materialization.metadata)
    assert set(newest) == {str(night) for night in NIGHTS}
    for shown in newest.values():
        assert ("dagster/row_count" in shown) == (name not in PAGES)
        kinds = [type(value) for value in shown.values()]
        numbers = kinds.count(dg.IntMetadataValue) + kinds.count(dg.FloatMetadataValue)
        assert numbers >= (1 if name in PAGES else 3)
        texts = {key: str(value.value) for key, value in shown.items()
                 if isinstance(value, dg.MarkdownMetadataValue)}  # fmt: skip
        plots = {key: text for key, text in texts.items() if key.startswith("plot: ")}
        assert set(texts) - set(plots), "a table"
        assert bool(plots) == (name not in WITHOUT_PLOT)
        assert all(len(text) < LONGEST for text in plots.values())
        for key, value in shown.items():
            if isinstance(value, dg.FloatMetadataValue) and value.value is not None:
                assert round(value.value, 4) == value.value, f"{key}: more digits than are read"
