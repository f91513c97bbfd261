"""One table of items brought onto the scale of another, by the items that both have."""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.configuration import LinkingMethod
from calibration_pipeline.irt.linking import linked_covariances, transform_items
from calibration_pipeline.irt.linking_curves import CurveSettings
from calibration_pipeline.irt.linking_estimates import CommonItems, EstimatedLink, link_plainly
from calibration_pipeline.irt.model import standard_errors
from calibration_pipeline.irt.robust_linking import Rejection, link_robustly
from calibration_pipeline.policy.link_reasons import why_rejected
from calibration_pipeline.records import BoolArray, FloatArray, IntArray, ItemTable


@dataclass(frozen=True)
class TableLinkOptions:
    """How tables are linked.

    Attributes
    ----------
    method, settings
        See `estimate_constants`.
    rejection_z
        Standard errors from which a common item is left out; None keeps all.
    corrects_attenuation
        Whether the bias that the items' errors cause is taken off.
    """

    method: LinkingMethod
    settings: CurveSettings
    rejection_z: float | None
    corrects_attenuation: bool = False


@dataclass(frozen=True)
class TableLink:
    """A table on the other scale, and how it got there.

    Attributes
    ----------
    link
        Constants, errors and differences of the items that were asked.
    has_errors
        Whether the standard errors mean anything: the new table states some.
    slope_is_free
        False where all discriminations of the common items are one number, on both sides the
        same: Rasch items, whose scales differ in origin only.
    common_count
        Items that both tables have.
    left_out
        Why each of them that takes no part doesn't, by id, in the new table's order.
    linked
        All items of the new table; blank where they were.
    """

    link: EstimatedLink
    has_errors: bool
    slope_is_free: bool
    common_count: int
    left_out: dict[str, str]
    linked: ItemTable


def states_errors(table: ItemTable) -> bool:
    """Whether a table has standard errors of difficulties at all."""
    return bool(np.isfinite(table.standard_errors[:, 1]).any())


def link_tables(new: ItemTable, reference: ItemTable, options: TableLinkOptions) -> TableLink:
    """Bring the new table onto the reference's scale.

    A blank standard error is taken as 0; but where the new table states errors, an item without
    one for its difficulty was not estimated, or stands at a bound, and takes no part. Errors of
    different items, and of the parameters of one, count as independent: a table says no more. With
    rejection at least half of the items that can take part do.

    Raises
    ------
    ValueError
        If the tables have no items in common that could link them, or these can't tell the
        constants.
    """
    place = {item: row for row, item in enumerate(reference.item_ids)}
    shared = [row for row, item in enumerate(new.item_ids) if item in place]
    rows = np.array(shared, np.int64)
    there = np.array([place[new.item_ids[row]] for row in shared], np.int64)
    has_errors = states_errors(new)
    reasons = {
        int(row): _why_not_asked(new, reference, int(row), int(other), has_errors)
        for row, other in zip(rows, there, strict=True)
    }
    asked = np.array([not reasons[int(row)] for row in rows], bool)
    items = _common_items(new, reference, rows[asked], there[asked], options)
    link, rejected = _linked(items, options)
    reasons |= dict(zip(rows[asked].tolist(), rejected, strict=True))
    return TableLink(
        link=link,
        has_errors=has_errors,
        slope_is_free=items.slope_is_free,
        common_count=len(rows),
        left_out={new.item_ids[row]: reason for row, reason in reasons.items() if reason},
        linked=_on_reference_scale(new, link, rows[asked]),
    )


def _why_not_asked(
    new: ItemTable, reference: ItemTable, row: int, other: int, has_errors: bool
) -> str:
    if not np.isfinite(new.parameters[row]).all():
        return "no estimate in the new table"
    if not np.isfinite(reference.parameters[other]).all():
        return "no estimate in the reference"
    if has_errors and not np.isfinite(new.standard_errors[row, 1]):
        return "no standard error in the new table: held fixed, or at a bound"
    return ""


def _common_items(
    new: ItemTable,
    reference: ItemTable,
    rows: IntArray,
    there: IntArray,
    options: TableLinkOptions,
) -> CommonItems:
    ours, theirs = new.parameters[rows], reference.parameters[there]
    slopes = np.concatenate([ours[:, 0], theirs[:, 0]])
    return CommonItems(
        new=ours,
        reference=theirs,
        new_covariance=_covariances(new)[rows],
        reference_covariance=_covariances(reference)[there],
        method=options.method,
        settings=options.settings,
        slope_is_free=len(slopes) > 0 and bool(np.ptp(slopes) > 0.0),
        corrects_attenuation=options.corrects_attenuation,
    )


def _linked(items: CommonItems, options: TableLinkOptions) -> tuple[EstimatedLink, list[str]]:
    """Link, and say of every item why it was left out; empty where it wasn't."""
    n = len(items.new)
    if n == 0:
        raise ValueError("the tables have no item in common that has an estimate in both")
    if options.rejection_z is None:
        return link_plainly(items), [""] * n
    rejection = Rejection(options.rejection_z, minimum_items=(n + 1) // 2)
    link = link_robustly(items, rejection)
    return link, [why_rejected(link, place, rejection) for place in range(n)]


def _covariances(table: ItemTable) -> FloatArray:
    """Covariances of φ, ``(n_items, 3, 3)``, from standard errors alone; 0 for what is blank."""
    a, _, c = table.parameters.T
    has_guessing = _is_above(c, 0.0)
    steps = np.column_stack(
        [1.0 / a, np.ones_like(a), 1.0 / np.where(has_guessing, c * (1.0 - c), np.inf)]
    )
    variances = np.nan_to_num((steps * table.standard_errors) ** 2, nan=0.0)
    return np.asarray(variances[:, :, None] * np.eye(3))


def _is_above(values: FloatArray, limit: float) -> BoolArray:
    return np.asarray(np.nan_to_num(values, nan=limit) > limit)


def _on_reference_scale(new: ItemTable, link: EstimatedLink, rows: IntArray) -> ItemTable:
    influence = np.zeros((len(new.item_ids), 2, 3))
    influence[rows] = link.influence.new
    linked = transform_items(new.parameters, link.constants)
    covariance = linked_covariances(
        new.parameters, _covariances(new), link.constants, link.covariance, influence
    )
    errors = standard_errors(linked, covariance)
    known = np.isfinite(new.standard_errors)
    return ItemTable(new.item_ids, linked, np.where(known, errors, np.nan))
