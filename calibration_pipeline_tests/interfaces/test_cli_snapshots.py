"""`calibrate snapshots`: what was published is listed, shown and exported as it stands."""

import csv
import json
from pathlib import Path

import pyarrow.parquet
import pytest
import sqlalchemy as sa

from calibration_pipeline.store import states
from calibration_pipeline.store.snapshot_files import MANIFEST_KEY
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.store.examples import snapshot_items, state
from calibration_pipeline_tests.store.publishing import published


@pytest.fixture
def two_versions(engine: sa.Engine, run_id: str) -> sa.Engine:
    """Two versions; the second is current."""
    states.write_state(engine, state(), run_id)
    for n_items in (3, 4):
        published(engine, run_id, snapshot_items(n_items))
    return engine


def test_versions_are_listed_newest_first(on_database: Calibrate, two_versions: sa.Engine) -> None:
    rows = json.loads(on_database("snapshots", "list", "--json").stdout)
    assert [(row["version"], row["is_current"]) for row in rows] == [(2, True), (1, False)]
    assert rows[0]["partition"] == "2026-03-01"
    table = on_database("snapshots", "list").stdout
    assert "2026-03-01" in table
    assert "yes" in table


def test_before_the_first_publication_the_list_is_empty(on_database: Calibrate) -> None:
    listed = on_database("snapshots", "list")
    assert (listed.exit_code, listed.stdout) == (0, "")
    assert "Nothing has been published yet" in listed.stderr
    shown = on_database("snapshots", "show", "current")
    assert shown.exit_code == 1
    assert "nothing has been published yet" in shown.stderr


def test_a_version_shows_its_manifest_audit_counts_and_items(
    on_database: Calibrate, two_versions: sa.Engine
) -> None:
    result = on_database("snapshots", "show", "current", "--rows", 2, "--json")
    document = json.loads(result.stdout)
    assert document["manifest"]["version"] == 2
    assert document["manifest"]["scaling_constant"] == 1.702
    assert document["manifest"]["configuration"] == {"window_days": 30}
    assert document["audit"][0]["passed"] is True
    assert document["counts"] == [{"source": "fitted", "track": "provisional", "items": 4}]
    assert [item["item_id"] for item in document["items"]] == ["i0", "i1"]
    table = on_database("snapshots", "show", 1).stdout
    for text in ("Version 1", "1.702", "stocking-lord", "finite", "provisional", "3 of 3 items"):
        assert text in table


@pytest.mark.parametrize(
    ("version", "expected"),
    [("7", "no version 7"), ("newest", "'newest' is no version"), ("9" * 30, "is no version")],
)
@pytest.mark.parametrize("command", ["show", "export"])
def test_a_version_that_does_not_exist_is_named(
    on_database: Calibrate,
    two_versions: sa.Engine,
    tmp_path: Path,
    command: str,
    version: str,
    expected: str,
) -> None:
    out = ("--out", tmp_path / "items.csv") if command == "export" else ()
    result = on_database("snapshots", command, version, *out)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert expected in line
    assert "snapshots list" in line
    assert not (tmp_path / "items.csv").exists()


def test_every_format_holds_the_same_numbers(
    on_database: Calibrate, two_versions: sa.Engine, tmp_path: Path
) -> None:
    paths = {suffix: tmp_path / f"items.{suffix}" for suffix in ("csv", "parquet", "json")}
    for path in paths.values():
        assert on_database("snapshots", "export", "current", "--out", path).exit_code == 0
        assert path.stat().st_mode & 0o777 == 0o600
    with paths["csv"].open(newline="") as file:
        in_csv = list(csv.DictReader(file))
    table = pyarrow.parquet.read_table(paths["parquet"])
    in_json = json.loads(paths["json"].read_text())
    assert table.to_pylist() == in_json["items"]
    assert json.loads(table.schema.metadata[MANIFEST_KEY]) == in_json["manifest"]
    for row, item, stored in zip(in_csv, in_json["items"], snapshot_items(), strict=True):
        assert (row["version"], row["scaling_constant"]) == ("2", "1.702")
        assert (item["item_id"], item["content_version"]) == stored.key
        assert tuple(item["covariance"]) == stored.covariance
        for name in ("discrimination", "difficulty", "guessing", "difficulty_se"):
            assert float(row[name]) == item[name] == getattr(stored, name)


def test_an_export_is_the_same_every_time(
    on_database: Calibrate, two_versions: sa.Engine, tmp_path: Path
) -> None:
    for suffix in ("csv", "parquet", "json"):
        one, two = tmp_path / f"one.{suffix}", tmp_path / f"two.{suffix}"
        for path in (one, two):
            on_database("snapshots", "export", 1, "--out", path)
        assert one.read_bytes() == two.read_bytes()


def test_a_file_is_written_over_only_when_told(
    on_database: Calibrate, two_versions: sa.Engine, tmp_path: Path
) -> None:
    out = tmp_path / "items.csv"
    out.write_text("mine")
    refused = on_database("snapshots", "export", 1, "--out", out)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert out.read_text() == "mine"
    assert on_database("snapshots", "export", 1, "--out", out, "--force").exit_code == 0
    assert out.read_text().startswith("version,scaling_constant,item_id")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("items.xlsx", "end it in .csv, .json, .parquet"), ("absent/items.csv", "can't be written")],
)
def test_a_file_that_cannot_be_written_is_named(
    on_database: Calibrate, two_versions: sa.Engine, tmp_path: Path, name: str, expected: str
) -> None:
    result = on_database("snapshots", "export", 1, "--out", tmp_path / name)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert expected in line
    assert not (tmp_path / name).exists()
