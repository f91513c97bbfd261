"""Anchor sets: versioned, imported with a bank or selected, in force from a night on."""

from collections.abc import Mapping, Sequence
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
_COORDINATES = ("discrimination", "difficulty", "guessing")
_FIXED_DISCRIMINATION = ("Rasch", "1PL")


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
    """Put a bank file's anchors in force from the beginning.

    Returns
    -------
    tuple
        Number of anchors that are new, and the id of the set in force from the beginning.

    Raises
    ------
    BadInputError
        The file adds anchors to a scale that has some already, or gives one other values.
    """
    set_id, stored = _set_in_force(connection, sa.literal_column("'-infinity'::date"))
    new = {key: value for key, value in anchors.items() if stored.get(key) != value}
    if not new:
        return 0, set_id
    anchored = _scales_of(connection, stored)
    for key, scale in _scales_of_keys(connection, new).items():
        if scale in anchored:
            raise BadInputError(
                f"{file_name}: {key[0]!r} would change the anchors of the scale {scale!r}, which "
                "are imported once: mark the same anchors as before, or select a new anchor set"
            )
    return len(new), _store_set(connection, {**stored, **new}, f"imported with {file_name}")


def _scales_of_keys(
    connection: sa.Connection, keys: Mapping[ItemKey, Reference]
) -> dict[ItemKey, str]:
    stored = sa.select(items.c.item_id, items.c.content_version, items.c.scale)
    return {
        (row.item_id, row.content_version): row.scale
        for row in connection.execute(stored)
        if (row.item_id, row.content_version) in keys
    }


def _scales_of(connection: sa.Connection, keys: Mapping[ItemKey, Reference]) -> set[str]:
    return set(_scales_of_keys(connection, keys).values())


def _store_set(connection: sa.Connection, anchors: Mapping[ItemKey, Reference], reason: str) -> int:
    keys, parameters = _canonical(anchors)
    set_id = connection.execute(
        sa.insert(anchor_sets)
        .values(origin="imported", digest=_digest(keys, parameters))
        .returning(anchor_sets.c.anchor_set_id)
    ).scalar_one()
    copy_rows(
        connection,
        anchor_set_items,
        ("anchor_set_id", "item_id", "content_version", *_COORDINATES),
        ([set_id, *key, *anchors[key]] for key in keys),
    )
    connection.execute(
        sa.insert(anchor_activations).values(
            anchor_set_id=set_id,
            effective_from=sa.literal_column("'-infinity'::date"),
            reason=reason,
        )
    )
    return int(set_id)


def _set_in_force(
    connection: sa.Connection, as_of: date | sa.ColumnElement[date]
) -> tuple[int | None, dict[ItemKey, Reference]]:
    activation = anchor_activations.c
    set_id = connection.scalar(
        sa.select(activation.anchor_set_id)
        .where(activation.effective_from <= as_of)
        .order_by(activation.effective_from.desc(), activation.activation_id.desc())
        .limit(1)
    )
    rows = connection.execute(
        sa.select(anchor_set_items).where(anchor_set_items.c.anchor_set_id == set_id)
    )
    return set_id, {
        (row.item_id, row.content_version): (row.discrimination, row.difficulty, row.guessing)
        for row in rows
    }


def _canonical(anchors: Mapping[ItemKey, Reference]) -> tuple[tuple[ItemKey, ...], FloatArray]:
    keys = tuple(sorted(anchors))
    return keys, np.array([anchors[key] for key in keys], np.float64).reshape(-1, 3)


def _digest(keys: Sequence[ItemKey], parameters: FloatArray) -> str:
    return digest_of(
        [item_id for item_id, _ in keys],
        np.array([version for _, version in keys], np.int64),
        parameters,
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
    keys, parameters = _canonical(anchors)
    return AnchorSet(set_id, keys, parameters, _digest(keys, parameters))
