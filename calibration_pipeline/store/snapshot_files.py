"""A published version as a file: CSV, Parquet or JSON, for a test engine or an analysis."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import SnapshotItem, SnapshotManifest
from calibration_pipeline.store.private_files import private_file

MANIFEST_KEY = b"calibration_manifest"
"""Where a Parquet file's metadata hold the manifest, as JSON."""

_ITEM_COLUMNS = (
    "scale",
    "discrimination",
    "difficulty",
    "guessing",
    "discrimination_se",
    "difficulty_se",
    "guessing_se",
    "track",
    "source",
    "window_count",
    "total_count",
    "at_bound",
)


def write_snapshot(
    path: Path,
    manifest: SnapshotManifest,
    items: Sequence[SnapshotItem],
    *,
    replace: bool = False,
) -> None:
    """Write a version, readable by its owner alone; whole, or not at all.

    Every row states the version and the scaling constant D. Parquet and JSON hold the manifest
    and each item's covariance of φ (nine values, by rows) as well.

    Parameters
    ----------
    path
        Its suffix chooses the format: .csv, .parquet or .json.
    replace
        Write over a file of that name.

    Raises
    ------
    BadInputError
        There is no such format, the file exists, or it can't be written.
    """
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise BadInputError(
            f"{path.name} names no format that can be written: "
            f"end it in {', '.join(sorted(_WRITERS))}"
        )
    if path.exists() and not replace:
        raise BadInputError(f"{path} exists: choose another name, or add --force to replace it")
    with private_file(path) as file:
        writer(file, manifest, items)


def manifest_document(manifest: SnapshotManifest) -> dict[str, Any]:
    """Give a manifest as JSON knows it: dates in ISO form, NaN as null."""
    document: dict[str, Any] = _plain(asdict(manifest))
    return document


def item_document(item: SnapshotItem, *, with_covariance: bool = False) -> dict[str, Any]:
    """Give an item as a flat row, its key as item_id and content_version."""
    row = {"item_id": item.key[0], "content_version": item.key[1]}
    row |= {name: getattr(item, name) for name in _ITEM_COLUMNS}
    return row | {"covariance": list(item.covariance)} if with_covariance else row


def item_documents(
    manifest: SnapshotManifest, items: Sequence[SnapshotItem]
) -> list[dict[str, Any]]:
    """Give items as JSON knows them, with version, D and covariance: NaN as null."""
    documents: list[dict[str, Any]] = _plain(_rows(manifest, items, with_covariance=True))
    return documents


def parquet_bytes(manifest: SnapshotManifest, items: Sequence[SnapshotItem]) -> bytes:
    """Give a version as a Parquet file: one row per item, the manifest in its metadata."""
    file = io.BytesIO()
    _write_parquet(file, manifest, items)
    return file.getvalue()


def _rows(
    manifest: SnapshotManifest, items: Sequence[SnapshotItem], *, with_covariance: bool
) -> list[dict[str, Any]]:
    stated = {"version": manifest.version, "scaling_constant": manifest.scaling_constant}
    return [stated | item_document(item, with_covariance=with_covariance) for item in items]


def _write_csv(file: IO[bytes], manifest: SnapshotManifest, items: Sequence[SnapshotItem]) -> None:
    text = io.StringIO(newline="")
    names = ("version", "scaling_constant", "item_id", "content_version", *_ITEM_COLUMNS)
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(manifest, items, with_covariance=False))
    file.write(text.getvalue().encode())


def _write_json(file: IO[bytes], manifest: SnapshotManifest, items: Sequence[SnapshotItem]) -> None:
    document = {
        "manifest": manifest_document(manifest),
        "items": item_documents(manifest, items),
    }
    file.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def _write_parquet(
    file: IO[bytes], manifest: SnapshotManifest, items: Sequence[SnapshotItem]
) -> None:
    table = pa.Table.from_pylist(_rows(manifest, items, with_covariance=True))
    document = json.dumps(manifest_document(manifest), ensure_ascii=False, allow_nan=False)
    pa.parquet.write_table(table.replace_schema_metadata({MANIFEST_KEY: document}), file)


_WRITERS = {".csv": _write_csv, ".json": _write_json, ".parquet": _write_parquet}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
