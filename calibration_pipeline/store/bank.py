"""The pool in the database: import a bank file, record decisions, read the pool as of a night."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import ItemBank, ItemKey
from calibration_pipeline.store import anchors
from calibration_pipeline.store.bank_file import BankRow, read_bank_file
from calibration_pipeline.store.canonical import digest_of
from calibration_pipeline.store.copy import copy_rows
from calibration_pipeline.store.tables import item_decisions, items, scales
from calibration_pipeline.store.turns import Turn, wait_for_turn

MODELS = ("Rasch", "1PL", "2PL", "3PL")
_CONTENT = (
    "scale",
    "discrimination",
    "difficulty",
    "guessing",
    "author_difficulty",
    "content_family",
    "option_count",
)


@dataclass(frozen=True)
class BankImport:
    """What an import changed; `anchor_set_id` is the set now in force from the beginning."""

    items_added: int
    items_unchanged: int
    scales_added: int
    anchors_added: int
    anchor_set_id: int | None


def import_bank(engine: sa.Engine, path: Path, model: str) -> BankImport:
    """Store the items of a bank file, all of them or none.

    Importing unchanged items again does nothing. Items marked `is_anchor` form an anchor set that
    is in force from the beginning.

    Parameters
    ----------
    path
        CSV or Parquet with item_id, discrimination, difficulty, guessing and, if wanted,
        content_version, scale, is_anchor, author_difficulty, content_family, option_count.
    model
        The model of the file's scales: 'Rasch', '1PL', '2PL' or '3PL'.

    Raises
    ------
    BadInputError
        The file or the model can't be used as it stands; nothing was stored.
    """
    if model not in MODELS:
        raise BadInputError(f"there is no model {model!r}: choose one of {', '.join(MODELS)}")
    rows = read_bank_file(path)
    file_anchors = anchors.reference_values(path.name, rows, model)
    with engine.begin() as connection:
        # A second import waits here, and then sees the first one's items.
        wait_for_turn(connection, Turn.BANK_IMPORT)
        scales_added = _add_scales(connection, {row.scale for row in rows}, model)
        new_rows = _new_rows(path.name, rows, _stored_items(connection))
        copy_rows(
            connection,
            items,
            ("item_id", "content_version", *_CONTENT),
            ([*row.key, *(getattr(row, name) for name in _CONTENT)] for row in new_rows),
        )
        anchors_added, anchor_set_id = anchors.import_anchors(connection, path.name, file_anchors)
    return BankImport(
        items_added=len(new_rows),
        items_unchanged=len(rows) - len(new_rows),
        scales_added=scales_added,
        anchors_added=anchors_added,
        anchor_set_id=anchor_set_id,
    )


def _add_scales(connection: sa.Connection, names: set[str], model: str) -> int:
    stored = {row.scale: row.model for row in connection.execute(sa.select(scales))}
    for name in sorted(names & stored.keys()):
        if stored[name] != model:
            raise BadInputError(
                f"the scale {name!r} is calibrated with the {stored[name]} model, not {model}: "
                f"import with {stored[name]}, or give the items another scale"
            )
    new = sorted(names - stored.keys())
    if new:
        connection.execute(sa.insert(scales), [{"scale": name, "model": model} for name in new])
    return len(new)


def _stored_items(connection: sa.Connection) -> dict[ItemKey, sa.Row[Any]]:
    return {(row.item_id, row.content_version): row for row in connection.execute(sa.select(items))}


def _new_rows(
    file_name: str,
    rows: Sequence[BankRow],
    stored: Mapping[ItemKey, sa.Row[Any]],
) -> list[BankRow]:
    new = []
    for row in rows:
        if row.key not in stored:
            new.append(row)
            continue
        before = stored[row.key]
        changed = [n for n in _CONTENT if getattr(before, n) != getattr(row, n)]
        if changed:
            name = changed[0]
            raise BadInputError(
                f"{file_name}: item {row.key[0]!r} (content_version {row.key[1]}) is in the bank "
                f"with {name} {getattr(before, name)!r}, the file says {getattr(row, name)!r}: "
                "an edited item needs a higher content_version"
            )
    return new


def record_decision(
    engine: sa.Engine,
    key: ItemKey,
    decision: str,
    *,
    effective_from: date,
    reason: str,
    decided_by: str,
) -> None:
    """Retire an item ('retire') or take it back ('reopen') from a night on.

    Raises
    ------
    BadInputError
        The bank has no such item, or there is no such decision.
    """
    if decision not in ("retire", "reopen"):
        raise BadInputError(f"there is no decision {decision!r}: choose retire or reopen")
    with engine.begin() as connection:
        matches = (items.c.item_id == key[0]) & (items.c.content_version == key[1])
        if connection.scalar(sa.select(sa.func.count()).where(matches)) == 0:
            raise BadInputError(
                f"the bank has no item {key[0]!r} with content_version {key[1]}: "
                "import it, or correct its name"
            )
        connection.execute(
            sa.insert(item_decisions).values(
                item_id=key[0],
                content_version=key[1],
                decision=decision,
                effective_from=effective_from,
                reason=reason,
                decided_by=decided_by,
            )
        )


@dataclass(frozen=True)
class ItemDecision:
    """A person's decision on an item: to retire it, or to take it back."""

    decision: str
    effective_from: date
    reason: str
    decided_by: str
    decided_at: datetime


def read_decisions(engine: sa.Engine, key: ItemKey) -> tuple[ItemDecision, ...]:
    """Read the decisions on an item in the order in which they were made."""
    d = item_decisions.c
    query = (
        sa.select(d.decision, d.effective_from, d.reason, d.decided_by, d.recorded_at)
        .where(d.item_id == key[0], d.content_version == key[1])
        .order_by(d.decision_id)
    )
    with engine.connect() as connection:
        return tuple(ItemDecision(*row) for row in connection.execute(query))


def content_versions(engine: sa.Engine, item_id: str) -> tuple[int, ...]:
    """List the content versions of an item, oldest first; none if the bank lacks it."""
    versions = sa.select(items.c.content_version).where(items.c.item_id == item_id)
    with engine.connect() as connection:
        return tuple(connection.scalars(versions.order_by(items.c.content_version)))


def retired_from(connection: sa.Connection, as_of: date) -> dict[ItemKey, date]:
    """Items whose latest decision in force is to retire them, and from which night on they are."""
    d = item_decisions.c
    latest = (
        sa.select(d.item_id, d.content_version, d.decision, d.effective_from)
        .distinct(d.item_id, d.content_version)
        .where(d.effective_from <= as_of)
        .order_by(d.item_id, d.content_version, d.effective_from.desc(), d.decision_id.desc())
    )
    return {
        (row.item_id, row.content_version): row.effective_from
        for row in connection.execute(latest)
        if row.decision == "retire"
    }


def read_bank(engine: sa.Engine, as_of: date) -> ItemBank:
    """Read the pool with the decisions in force on a night.

    Parameters
    ----------
    as_of
        The night's local day; decisions that take effect later are left out.
    """
    with engine.connect() as connection:
        models = {row.scale: row.model for row in connection.execute(sa.select(scales))}
        retired = retired_from(connection, as_of).keys()
        stored = _stored_items(connection)
    # Python compares strings by code point, the same everywhere; a database's collation isn't.
    keys = tuple(sorted(stored))
    scale_names = tuple(sorted(models))
    columns = _bank_columns(keys, [stored[key] for key in keys], scale_names, retired)
    scale_models = tuple(models[name] for name in scale_names)
    digest = digest_of(
        [item_id for item_id, _ in keys],
        np.array([version for _, version in keys], np.int64),
        scale_names,
        scale_models,
        *columns.values(),
    )
    return ItemBank(
        keys=keys, scale_names=scale_names, scale_models=scale_models, digest=digest, **columns
    )


def _bank_columns(
    keys: Sequence[ItemKey],
    rows: Sequence[sa.Row[Any]],
    scale_names: Sequence[str],
    retired: Set[ItemKey],
) -> dict[str, Any]:
    """Give the bank's fields with one entry per item; None in the database becomes NaN."""
    position_of = {name: position for position, name in enumerate(scale_names)}
    parameters = [(row.discrimination, row.difficulty, row.guessing) for row in rows]
    columns: dict[str, Any] = {
        "scale_index": np.array([position_of[row.scale] for row in rows], np.int64),
        "parameters": np.array(parameters, np.float64).reshape(-1, 3),
        "author_difficulty": np.array([row.author_difficulty for row in rows], np.float64),
        "content_families": tuple(row.content_family for row in rows),
        "option_counts": np.array([row.option_count or 0 for row in rows], np.int64),
        "is_retired": np.array([key in retired for key in keys], np.bool_),
    }
    for column in columns.values():
        if isinstance(column, np.ndarray):
            column.setflags(write=False)
    return columns
