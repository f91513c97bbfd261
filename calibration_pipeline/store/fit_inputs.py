"""A table of answers and the bank it is fitted with: where item ids become positions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.irt.model import BoolArray
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.records import ItemBank
from calibration_pipeline.store.anchors import Reference, reference_values
from calibration_pipeline.store.bank_file import DEFAULT_SCALE, BankRow, read_bank_file
from calibration_pipeline.store.canonical import digest_of
from calibration_pipeline.store.response_table import ResponseTable


@dataclass(frozen=True)
class FitInputs:
    """Answers to the items of one scale, numbered as in the bank.

    Attributes
    ----------
    table
        The answers; `table.item_ids` are the bank's items and then those it lacks.
    bank
        One entry per item of `table`; what a bank file doesn't say is NaN.
    is_anchor
        ``(n_items,)``; the anchors' values in `bank.parameters` are complete.
    unknown_items
        Items with answers that the bank file lacks.
    answers_left_out
        Answers to items of other scales.
    """

    table: ResponseTable
    bank: ItemBank
    is_anchor: BoolArray
    unknown_items: int
    answers_left_out: int


def without_bank(table: ResponseTable, model: str) -> FitInputs:
    """Take every item of the table as one of which nothing is known."""
    bank, is_anchor = _bank_of(table.item_ids, {}, {}, DEFAULT_SCALE, model)
    return FitInputs(table, bank, is_anchor, len(table.item_ids), 0)


def with_bank(table: ResponseTable, path: Path, model: str, scale: str | None = None) -> FitInputs:
    """Join a table of answers with the items of a bank file, the unanswered ones included.

    Parameters
    ----------
    path
        CSV or Parquet, as `read_bank_file` reads it.
    model
        'Rasch', '1PL', '2PL' or '3PL'; says which values an anchor needs.
    scale
        The scale to fit; may be None where the bank has only one. Items that the bank lacks
        belong to 'main', or to the bank's only scale.

    Raises
    ------
    BadInputError
        The bank can't be used, has several versions of an item or several scales of which none
        was chosen, lacks the scale, or an anchor lacks a value; or no answer is left.
    """
    rows = read_bank_file(path)
    _refuse_versions(path.name, rows)
    chosen, home = _scales(path.name, rows, scale)
    own = {row.key[0]: row for row in rows if row.scale == chosen}
    elsewhere = {row.key[0] for row in rows if row.scale != chosen}
    unknown = [
        item_id
        for item_id in table.item_ids
        if item_id not in own and item_id not in elsewhere and chosen == home
    ]
    kept, left_out = _renumbered(table, (*own, *unknown))
    if kept.data.n_responses == 0:
        raise BadInputError(
            f"no answer is to an item of the scale {chosen!r} of {path.name}: "
            "check that both files name the items alike"
        )
    references = reference_values(path.name, list(own.values()), model)
    anchors = {key[0]: values for key, values in references.items()}
    bank, is_anchor = _bank_of(kept.item_ids, own, anchors, chosen, model)
    return FitInputs(kept, bank, is_anchor, len(unknown), left_out)


def _refuse_versions(file_name: str, rows: Sequence[BankRow]) -> None:
    versions = Counter(row.key[0] for row in rows)
    item_id, count = versions.most_common(1)[0]
    if count > 1:
        raise BadInputError(
            f"{file_name} has {count} versions of item {item_id!r}: a table of answers tells items "
            "apart by item_id alone, so keep the version that was answered"
        )


def _scales(file_name: str, rows: Sequence[BankRow], scale: str | None) -> tuple[str, str]:
    """Give the scale to fit, and the one that items without a row belong to."""
    names = sorted({row.scale for row in rows})
    home = names[0] if len(names) == 1 else DEFAULT_SCALE
    if scale is None and len(names) > 1:
        raise BadInputError(
            f"{file_name} has {len(names)} scales ({', '.join(names)}), which are fitted "
            f"independently: choose one, for example --scale {names[0]}"
        )
    if scale is not None and scale not in names:
        raise BadInputError(f"{file_name} has no scale {scale!r}: choose one of {', '.join(names)}")
    return scale or names[0], home


def _renumbered(table: ResponseTable, item_ids: Sequence[str]) -> tuple[ResponseTable, int]:
    """Number the answers by `item_ids`; leave out those to other items, and empty sessions."""
    position = {item_id: number for number, item_id in enumerate(item_ids)}
    new = np.array([position.get(item_id, -1) for item_id in table.item_ids], np.int32)
    item = new[table.data.item]
    keeps = item >= 0
    before = np.concatenate([[0], np.cumsum(keeps)])
    offsets = before[table.data.session_offsets]
    sessions = np.flatnonzero(np.diff(offsets) > 0)
    data = ResponseData(
        session_offsets=np.append(offsets[sessions], offsets[-1]).astype(np.int64),
        item=item[keeps],
        correct=table.data.correct[keeps],
        n_items=len(item_ids),
    )
    taken = pa.array(sessions)
    kept = replace(
        table,
        item_ids=tuple(item_ids),
        data=data,
        person_ids=table.person_ids.take(taken),
        session_ids=None if table.session_ids is None else table.session_ids.take(taken),
    )
    return kept, int(len(keeps) - keeps.sum())


def _bank_of(
    item_ids: Sequence[str],
    rows: dict[str, BankRow],
    anchors: dict[str, Reference],
    scale: str,
    model: str,
) -> tuple[ItemBank, BoolArray]:
    """Give the bank's record of these items, and which are anchors."""
    n_items = len(item_ids)
    parameters = np.full((n_items, 3), np.nan)
    author = np.full(n_items, np.nan)
    is_anchor: NDArray[np.bool_] = np.zeros(n_items, np.bool_)
    for number, item_id in enumerate(item_ids):
        if item_id not in rows:
            continue
        row = rows[item_id]
        stated = (row.discrimination, row.difficulty, row.guessing)
        parameters[number] = np.array(anchors.get(item_id, stated), np.float64)
        author[number] = np.nan if row.author_difficulty is None else row.author_difficulty
        is_anchor[number] = item_id in anchors
    known = [rows.get(item_id) for item_id in item_ids]
    bank = ItemBank(
        keys=tuple((item_id, 1) for item_id in item_ids),
        scale_names=(scale,),
        scale_models=(model,),
        scale_index=np.zeros(n_items, np.int64),
        parameters=parameters,
        author_difficulty=author,
        content_families=tuple(row.content_family if row else None for row in known),
        option_counts=np.array([(row and row.option_count) or 0 for row in known], np.int64),
        is_retired=np.zeros(n_items, np.bool_),
        digest=digest_of(list(item_ids), parameters, author, is_anchor),
    )
    return bank, is_anchor
