"""Versions and drafts as rows: the columns that both have, what goes in, and what comes back."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import sqlalchemy as sa

from calibration_pipeline.records import ScaleLink, SnapshotDraft, SnapshotItem
from calibration_pipeline.store.canonical import digest_of

_NUMBERS = (
    "discrimination",
    "difficulty",
    "guessing",
    "discrimination_se",
    "difficulty_se",
    "guessing_se",
)
_TEXTS = ("scale", "track", "source", "at_bound")
_COUNTS = ("window_count", "total_count")

ITEM_COLUMNS = ("item_id", "content_version", *_NUMBERS, *_TEXTS, *_COUNTS, "covariance")
"""An item of a version or a draft, but for the number of either."""
MANIFEST_COLUMNS = (*(field.name for field in fields(SnapshotDraft)), "content_digest")
"""What a draft's manifest says, and its version's after it."""


def content_digest(items: Sequence[SnapshotItem], scaling_constant: float) -> str:
    """Digest what a version says about its items, whatever its number, night or run.

    Parameters
    ----------
    items
        In any order: they are digested by item id and content version.
    scaling_constant
        The D that the discriminations are stated in.
    """
    rows = sorted(items, key=lambda item: item.key)
    return digest_of(
        float(scaling_constant),
        [item.key[0] for item in rows],
        np.array([item.key[1] for item in rows], np.int64),
        *(np.array([getattr(item, name) for item in rows], np.float64) for name in _NUMBERS),
        np.array([item.covariance for item in rows], np.float64),
        *([getattr(item, name) for item in rows] for name in _TEXTS),
        *(np.array([getattr(item, name) for item in rows], np.int64) for name in _COUNTS),
    )


def item_rows(number: int, items: Iterable[SnapshotItem]) -> Iterator[list[Any]]:
    """Give each item as a row: the version's or draft's number, then `ITEM_COLUMNS`."""
    names = ITEM_COLUMNS[2:-1]
    for item in items:
        values = (getattr(item, name) for name in names)
        yield [number, *item.key, *values, list(item.covariance)]


def items_of_rows(rows: Iterable[sa.Row[Any]]) -> tuple[SnapshotItem, ...]:
    """Give the items of rows back, by item id and content version."""
    names = ITEM_COLUMNS[2:-1]
    items = (
        SnapshotItem(
            key=(row.item_id, row.content_version),
            covariance=tuple(row.covariance),
            **{name: getattr(row, name) for name in names},
        )
        for row in rows
    )
    return tuple(sorted(items, key=lambda item: item.key))


def draft_values(draft: SnapshotDraft) -> dict[str, Any]:
    """Give a draft's manifest as values by column."""
    return {field.name: getattr(draft, field.name) for field in fields(draft)} | {
        "links": [_without_nan(asdict(link)) for link in draft.links],
        "population": {scale: _without_nan(values) for scale, values in draft.population.items()},
    }


def manifest_values(row: sa.Row[Any]) -> dict[str, Any]:
    """Give a row's manifest as the records have it."""
    stored = dict(row._mapping)
    return stored | {
        "links": tuple(ScaleLink(**_with_nan(link)) for link in stored["links"]),
        "population": {scale: _with_nan(values) for scale, values in stored["population"].items()},
    }


def _without_nan(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN; null stands for it."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in values.items()
    }


def _with_nan(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in values.items()}
