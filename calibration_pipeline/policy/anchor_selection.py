"""Which items are to hold the scale: a proposal, with the reason for every item of the pool.

An anchor has to have been itself for long enough, to be known well, and not to have moved; and the
set has to be spread as the pool is (docs/anchors.md). Present anchors that still qualify keep their
places and the reference values that they are held at: the scale is theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration_pipeline.errors import AnchorSetError
from calibration_pipeline.policy.anchor_evidence import AnchorEvidence, why_refused
from calibration_pipeline.policy.anchor_movement import AnchorMovement, anchor_movement
from calibration_pipeline.policy.anchor_spread import Strata, choose_spread
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import (
    AnchorCandidate,
    AnchorProposal,
    BoolArray,
    FloatArray,
    IntArray,
)

CHOSEN_BEFORE = "an anchor before, and still qualifies"
CHOSEN_NEW = "qualifies"
NOT_NEEDED = "qualifies, but its stratum's places went to items that are known better"


def select_anchors(
    evidence: AnchorEvidence, configuration: CalibrationConfiguration
) -> AnchorProposal:
    """Judge every item of the pool and choose each scale's anchors.

    A scale gets its share of the pool, and at least the `minimum_anchors` that a night links by, as
    far as that is no more than half of its items. Where fewer qualify than are linked by, its
    present anchors stay: imported ones serve until there is history.

    Raises
    ------
    AnchorSetError
        No scale has anchors to propose.
    """
    movement = anchor_movement(
        evidence.state, evidence.earlier, evidence.anchors, configuration.anchors
    )
    reasons = why_refused(evidence, movement, configuration)
    chosen, stratum = np.zeros(len(reasons), bool), np.full(len(reasons), -1)
    remarks: dict[str, str] = {}
    for number, name in enumerate(evidence.bank.scale_names):
        scale = _choose_of_scale(evidence, np.flatnonzero(evidence.bank.scale_index == number),
                                 reasons, configuration)  # fmt: skip
        chosen[scale.chosen], stratum[scale.pool] = True, scale.stratum
        remarks[name] = scale.remark
    if not chosen.any():
        raise AnchorSetError(
            f"no set can be selected as of {evidence.state.partition}: "
            + "; ".join(f"{name}: {remark}" for name, remark in remarks.items())
        )
    return _proposal(evidence, movement, reasons, chosen, stratum, remarks)


@dataclass(frozen=True)
class _ScaleChoice:
    """Bank positions of one scale's pool and of its anchors; what there is to say of them."""

    pool: IntArray
    stratum: IntArray
    chosen: IntArray
    remark: str


def _choose_of_scale(
    evidence: AnchorEvidence,
    members: IntArray,
    reasons: Sequence[str],
    configuration: CalibrationConfiguration,
) -> _ScaleChoice:
    settings = configuration.anchors
    pool = members[evidence.is_in_pool[members]]
    families = [evidence.bank.content_families[j] or "" for j in pool]
    strata = Strata.by_rank(evidence.difficulty[pool], families, settings.difficulty_strata)
    qualifies = np.array([not reasons[j] for j in pool], bool)
    linked_by = configuration.minimum_anchors
    wanted = max(round(settings.share * len(pool)), min(linked_by, len(pool) // 2))
    needed = min(linked_by, max(wanted, 1))
    if qualifies.sum() < needed:
        present = members[evidence.is_present[members]]
        stay = f"its {len(present)} present anchors stay" if len(present) else "it gets no anchors"
        remark = f"{qualifies.sum()} items qualify, fewer than {needed}: {stay}"
        return _ScaleChoice(pool, strata.difficulty, present, remark)
    found = choose_spread(
        strata, qualifies, evidence.is_present[pool], evidence.difficulty_se[pool], wanted
    )
    remark = (
        f"{found.sum()} of {wanted} places filled from {qualifies.sum()} items that qualify; "
        + _per_stratum(strata.difficulty, found, settings.difficulty_strata)
    )
    if found.sum() < linked_by:
        remark += f"; nights link by {linked_by} or more, so that this scale won't be linked"
    return _ScaleChoice(pool, strata.difficulty, pool[found], remark)


def _per_stratum(stratum: IntArray, found: BoolArray, count: int) -> str:
    anchors = np.bincount(stratum[found], minlength=count)
    return f"from the easiest stratum to the hardest {', '.join(map(str, anchors))}"


def _proposal(
    evidence: AnchorEvidence,
    movement: AnchorMovement,
    reasons: Sequence[str],
    chosen: BoolArray,
    stratum: IntArray,
    remarks: dict[str, str],
) -> AnchorProposal:
    parameters, covariance = _references(evidence)
    bank, at = evidence.bank, np.flatnonzero(chosen)
    change, change_se, margin = (
        evidence.of_state(values, np.nan)
        for values in (movement.change, movement.change_se, movement.margin)
    )
    candidates = tuple(
        AnchorCandidate(
            key=key,
            scale=bank.scale_names[bank.scale_index[j]],
            family=bank.content_families[j] or "",
            is_present=bool(evidence.is_present[j]),
            is_chosen=bool(chosen[j]),
            reason=_verdict(reasons[j], is_chosen=chosen[j], is_present=evidence.is_present[j]),
            stratum=int(stratum[j]) + 1 if stratum[j] >= 0 else None,
            difficulty=float(evidence.difficulty[j]),
            difficulty_se=float(evidence.difficulty_se[j]),
            total_count=int(evidence.total_counts[j]),
            movement=float(change[j]),
            movement_se=float(change_se[j]),
            movement_margin=float(margin[j]),
        )
        for j, key in enumerate(bank.keys)
    )
    return AnchorProposal(
        night=evidence.state.partition,
        keys=tuple(bank.keys[j] for j in at),
        parameters=parameters[at],
        covariance=covariance[at],
        candidates=candidates,
        remarks=remarks,
    )


def _verdict(reason: str, *, is_chosen: bool, is_present: bool) -> str:
    if not is_chosen:
        return reason or NOT_NEEDED
    if reason:
        return f"stays, since too few items of its scale qualify: {reason}"
    return CHOSEN_BEFORE if is_present else CHOSEN_NEW


def _references(evidence: AnchorEvidence) -> tuple[FloatArray, FloatArray]:
    """Values and errors to hold items at: those that anchors have, the estimates of others."""
    parameters = evidence.of_state(evidence.state.parameters, np.nan)
    covariance = evidence.of_state(evidence.state.covariance, 0.0)
    anchors = evidence.anchors
    at = evidence.bank.positions(anchors.keys)
    parameters[at] = anchors.parameters
    covariance[at] = 0.0 if anchors.covariance is None else anchors.covariance
    return parameters, covariance
