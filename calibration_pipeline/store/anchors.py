"""The anchor set in force on a night, and the anchors that are imported with a bank.

The activation with the latest `effective_from` up to the night counts, and of several with the
same one the last; an imported set counts as activated from the beginning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import AnchorSet, FloatArray, ItemKey
from calibration_pipeline.store.bank_file import BankRow
from calibration_pipeline.store.canonical import digest_of
from calibration_pipeline.store.copy import copy_rows
from calibration_pipeline.store.tables import (
    anchor_activations,
    anchor_set_items,
    anchor_sets,
    items,
)

Reference = tuple[float, float, float]
COORDINATES = ("discrimination", "difficulty", "guessing")
_FIXED_DISCRIMINATION = ("Rasch", "1PL")
_BEGINNING: sa.ColumnElement[date] = sa.literal_column("'-infinity'::date")


@dataclass(frozen=True)
class StoredAnchor:
    """What an anchor is held at, and the covariance of its φ by rows; None: taken as known."""

    values: Reference
    covariance: tuple[float, ...] | None = None


def reference_values(
    file_name: str, rows: Sequence[BankRow], model: str
) -> dict[ItemKey, Reference]:
    """Give the anchors of a bank file with the values that they will be held at.

    A coordinate that the model lacks may be blank: discrimination is then 1, guessing 0.

    Raises
    ------
    BadInputError
        An anchor lacks a value that the model needs.
    """
    references: dict[ItemKey, Reference] = {}
    for row in rows:
        if not row.is_anchor:
            continue
        discrimination, difficulty, guessing = row.discrimination, row.difficulty, row.guessing
        if discrimination is None and model in _FIXED_DISCRIMINATION:
            discrimination = 1.0
        if guessing is None and model != "3PL":
            guessing = 0.0
        if discrimination is None or difficulty is None or guessing is None:
            raise BadInputError(
                f"{file_name}: the anchor {row.key[0]!r} lacks a reference value "
                f"(discrimination {discrimination}, difficulty {difficulty}, guessing {guessing}): "
                "fill it in, or set is_anchor to false"
            )
        references[row.key] = (discrimination, difficulty, guessing)
    return references


def import_anchors(
    connection: sa.Connection, file_name: str, anchors: Mapping[ItemKey, Reference]
) -> tuple[int, int | None]:
    """Put a bank file's anchors in force from the beginning, beside those of other scales.

    A set covers the whole pool. So where sets were activated later, each gets a successor that
    holds the new scale's anchors as well, from the same night on.

    Returns
    -------
    tuple
        Number of anchors that are new, and the id of the set in force from the beginning.

    Raises
    ------
    BadInputError
        The file adds anchors to a scale that has some already, or gives one other values.
    """
    set_id, stored = _set_in_force(connection, _BEGINNING)
    new = {
        key: StoredAnchor(values)
        for key, values in anchors.items()
        if key not in stored or stored[key].values != values
    }
    if not new:
        return 0, set_id
    starts = _later_starts(connection)
    later = {start: _set_in_force(connection, start)[1] for start in starts}
    anchored = _scales_of(connection, {key for found in (stored, *later.values()) for key in found})
    for key, scale in _scales_of_keys(connection, set(new)).items():
        if scale in anchored:
            raise BadInputError(
                f"{file_name}: {key[0]!r} would change the anchors of the scale {scale!r}, which "
                "are imported once: mark the same anchors as before, or select a new anchor set "
                "(`calibrate anchors select`)"
            )
    reason = f"imported with {file_name}"
    imported = store_set(connection, {**stored, **new}, origin="imported")
    store_activation(connection, imported, _BEGINNING, reason)
    for start, found in later.items():
        successor = store_set(connection, {**found, **new}, origin="imported")
        store_activation(connection, successor, start, f"{reason}, beside what was in force")
    return len(new), imported


def _later_starts(connection: sa.Connection) -> list[date]:
    """Nights from which on another set than the first was put in force, oldest first."""
    start = anchor_activations.c.effective_from
    query = sa.select(start).distinct().where(start > _BEGINNING).order_by(start)
    return list(connection.scalars(query))


def _scales_of_keys(connection: sa.Connection, keys: set[ItemKey]) -> dict[ItemKey, str]:
    stored = sa.select(items.c.item_id, items.c.content_version, items.c.scale)
    return {
        (row.item_id, row.content_version): row.scale
        for row in connection.execute(stored)
        if (row.item_id, row.content_version) in keys
    }


def _scales_of(connection: sa.Connection, keys: set[ItemKey]) -> set[str]:
    return set(_scales_of_keys(connection, keys).values())


def store_set(
    connection: sa.Connection, anchors: Mapping[ItemKey, StoredAnchor], **header: object
) -> int:
    """Store a set and give its number; nothing is put in force by it.

    Parameters
    ----------
    header
        Further columns of `anchor_sets`, the origin at least.
    """
    keys = sorted(anchors)
    digest = _as_record(None, anchors).digest
    set_id = connection.execute(
        sa.insert(anchor_sets)
        .values(digest=digest, **header)
        .returning(anchor_sets.c.anchor_set_id)
    ).scalar_one()
    copy_rows(
        connection,
        anchor_set_items,
        ("anchor_set_id", "item_id", "content_version", *COORDINATES, "covariance"),
        (
            [set_id, *key, *anchors[key].values, _list_or_none(anchors[key].covariance)]
            for key in keys
        ),
    )
    return int(set_id)


def _list_or_none(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else list(values)


def store_activation(
    connection: sa.Connection,
    set_id: int,
    effective_from: date | sa.ColumnElement[date],
    reason: str,
    decided_by: str | None = None,
) -> None:
    """Put a set in force from a night on."""
    connection.execute(
        sa.insert(anchor_activations).values(
            anchor_set_id=set_id,
            effective_from=effective_from,
            reason=reason,
            decided_by=decided_by,
        )
    )


def _set_in_force(
    connection: sa.Connection, as_of: date | sa.ColumnElement[date]
) -> tuple[int | None, dict[ItemKey, StoredAnchor]]:
    activation = anchor_activations.c
    set_id = connection.scalar(
        sa.select(activation.anchor_set_id)
        .where(activation.effective_from <= as_of)
        .order_by(activation.effective_from.desc(), activation.activation_id.desc())
        .limit(1)
    )
    return set_id, {} if set_id is None else stored_anchors(connection, set_id)


def stored_anchors(connection: sa.Connection, set_id: int) -> dict[ItemKey, StoredAnchor]:
    """Read a set's items; empty if there is no such set."""
    rows = connection.execute(
        sa.select(anchor_set_items).where(anchor_set_items.c.anchor_set_id == set_id)
    )
    return {
        (row.item_id, row.content_version): StoredAnchor(
            (row.discrimination, row.difficulty, row.guessing),
            None if row.covariance is None else tuple(row.covariance),
        )
        for row in rows
    }


def _as_record(set_id: int | None, anchors: Mapping[ItemKey, StoredAnchor]) -> AnchorSet:
    keys = tuple(sorted(anchors))
    parameters = np.array([anchors[key].values for key in keys], np.float64).reshape(-1, 3)
    known = (0.0,) * 9
    covariance = None
    if any(anchor.covariance for anchor in anchors.values()):
        errors = [anchors[key].covariance or known for key in keys]
        covariance = np.array(errors, np.float64).reshape(-1, 3, 3)
    return AnchorSet(set_id, keys, parameters, _digest(keys, parameters, covariance), covariance)


def _digest(keys: Sequence[ItemKey], parameters: FloatArray, covariance: FloatArray | None) -> str:
    """Digest a set's content; sets without errors as they were digested before any had some."""
    errors = () if covariance is None else (covariance,)
    return digest_of(
        [item_id for item_id, _ in keys],
        np.array([version for _, version in keys], np.int64),
        parameters,
        *errors,
    )


def read_anchor_set(engine: sa.Engine, as_of: date) -> AnchorSet:
    """Read the anchor set in force on a night; an empty one if none is.

    Parameters
    ----------
    as_of
        The night's local day; the activation with the latest `effective_from` up to it counts.
    """
    with engine.connect() as connection:
        set_id, anchors = _set_in_force(connection, as_of)
    return _as_record(set_id, anchors)
