"""The items that hold the scale, and what they are chosen by."""

from dataclasses import dataclass
from datetime import date

from calibration_pipeline.records.arrays import FloatArray, ItemKey


@dataclass(frozen=True)
class AnchorSet:
    """Items whose parameters are held fixed: they define the scale.

    Attributes
    ----------
    anchor_set_id
        The stored set's number; None for the empty set of a pool without anchors.
    keys
        The anchors, in canonical order.
    parameters
        ``(n_anchors, 3)`` reference values.
    digest
        SHA-256 of keys and values, and of the references' errors where they have any.
    covariance
        ``(n_anchors, 3, 3)`` of the references' φ: they are estimates themselves. Zeros where a
        reference is taken as known, None where all are.
    """

    anchor_set_id: int | None
    keys: tuple[ItemKey, ...]
    parameters: FloatArray
    digest: str
    covariance: FloatArray | None = None


@dataclass(frozen=True)
class AnchorCandidate:
    """An item of the pool as the selection of anchors saw it.

    Attributes
    ----------
    key, scale, family
        The item, its scale, and its content family; empty if it belongs to none.
    is_present, is_chosen
        It was an anchor before; it is one of the proposed set.
    reason
        Why it was chosen or not.
    stratum
        By difficulty, from 1; None for items that are not part of the pool any more.
    difficulty, difficulty_se
        As estimated, or the reference and the shadow refit's error of an anchor; NaN without.
    total_count
        Answers in all.
    movement, movement_se, movement_margin
        How far the difficulty has moved, its standard error, and within which margin it was tested
        to lie; NaN where there is too little to compare.
    """

    key: ItemKey
    scale: str
    family: str
    is_present: bool
    is_chosen: bool
    reason: str
    stratum: int | None
    difficulty: float
    difficulty_se: float
    total_count: int
    movement: float
    movement_se: float
    movement_margin: float


@dataclass(frozen=True)
class AnchorProposal:
    """An anchor set that was selected; nothing changes before somebody activates it.

    Attributes
    ----------
    night
        Of the state that it was selected from.
    keys, parameters, covariance
        As in `AnchorSet`.
    candidates
        Every item of the pool, in the bank's order.
    remarks
        What a person should know of it, by scale.
    """

    night: date
    keys: tuple[ItemKey, ...]
    parameters: FloatArray
    covariance: FloatArray
    candidates: tuple[AnchorCandidate, ...]
    remarks: dict[str, str]
