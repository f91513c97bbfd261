"""What a night publishes: every item of the pool, with its track and where its values come from."""

from collections.abc import Mapping, Sequence

import numpy as np

from calibration_pipeline.irt.linking import linked_covariances, transform_items
from calibration_pipeline.irt.model import from_internal, standard_errors
from calibration_pipeline.policy.anchor_errors import reference_covariances, scale_loadings
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.links import (
    NOT_LINKED,
    by_scale,
    constants_covariance,
    constants_of,
)
from calibration_pipeline.records import (
    AnchorSet,
    BoolArray,
    CalibrationState,
    FloatArray,
    ItemBank,
    ItemKey,
    ScaleLink,
    SnapshotItem,
)

PROVISIONAL, TRUSTED = "provisional", "trusted"
ANCHOR, FITTED, CARRIED, AUTHOR = "anchor", "fitted", "carried", "author"


def eligible_items(state: CalibrationState, configuration: CalibrationConfiguration) -> BoolArray:
    """Items with enough answers in the window for new values to be published, ``(n_items,)``."""
    return state.is_updated & (state.window_counts >= configuration.minimum_responses)


def compose_snapshot(
    state: CalibrationState,
    links: Sequence[ScaleLink],
    bank: ItemBank,
    anchors: AnchorSet,
    previous: Mapping[ItemKey, SnapshotItem],
    configuration: CalibrationConfiguration,
) -> tuple[SnapshotItem, ...]:
    """State every item of the pool as it is to be published.

    Anchors stand at their reference, to the bit, with the error that the reference has. Eligible
    items take tonight's values, moved by the night's link, whose errors join theirs. Below
    eligibility the values published before stand; an item that never had any shows its author's,
    or its base prior's mode.

    Parameters
    ----------
    state, links
        Tonight's accepted state and its links, one per scale.
    bank, anchors
        The pool and the anchor set the state was computed on.
    previous
        The items of the newest version of an earlier night; empty before the first.
    configuration
        Eligibility, trust and bounds.
    """
    linked, covariance = _linked(state, links, bank, anchors)
    bounded, at_bound = _bounded(linked, configuration)
    errors = standard_errors(bounded, covariance)
    eligible = eligible_items(state, configuration)
    authored, reference = _authored(state, bank), reference_covariances(state, anchors)
    items = []
    for j, key in enumerate(state.keys):
        earlier = previous.get(key)
        if state.is_anchor[j]:
            values, source, spread, bound = state.parameters[j], ANCHOR, reference[j], ""
            error = standard_errors(values[None], spread[None])[0]
        elif eligible[j]:
            values, source, spread, bound = bounded[j], FITTED, covariance[j], at_bound[j]
            error = errors[j]
        elif earlier is not None and earlier.source != AUTHOR:
            items.append(_standing(earlier, state, j, configuration))
            continue
        else:
            values, source, bound = authored[j], AUTHOR, ""
            spread = np.diag(1.0 / state.prior_precision[j])
            error = standard_errors(authored[j : j + 1], spread[None])[0]
        items.append(
            SnapshotItem(
                key=key,
                scale=bank.scale_names[bank.scale_index[j]],
                discrimination=float(values[0]),
                difficulty=float(values[1]),
                guessing=float(values[2]),
                discrimination_se=float(error[0]),
                difficulty_se=float(error[1]),
                guessing_se=float(error[2]),
                covariance=tuple(float(value) for value in np.ravel(spread)),
                track=_track(source, int(state.total_counts[j]), earlier, configuration),
                source=source,
                window_count=int(state.window_counts[j]),
                total_count=int(state.total_counts[j]),
                at_bound=bound,
            )
        )
    return tuple(items)


def _linked(
    state: CalibrationState, links: Sequence[ScaleLink], bank: ItemBank, anchors: AnchorSet
) -> tuple[FloatArray, FloatArray]:
    """Parameters on the published scale, and the covariances of φ with all errors of the scale.

    The errors of the references come in once: with those of the link, which brings the night to
    the references whatever they had pulled it to, or, where nothing was linked, by that pull.
    """
    parameters, covariance = state.parameters.copy(), state.covariance.copy()
    for number, link in enumerate(by_scale(state, links)):
        in_scale = bank.scale_index == number
        moved = in_scale & ~state.is_anchor
        constants, before = constants_of(link), parameters[moved]
        if link.method == NOT_LINKED:
            pull = scale_loadings(state, anchors, in_scale)[moved]
            covariance[moved] += pull @ pull.transpose(0, 2, 1)
        parameters[moved] = transform_items(before, constants)
        covariance[moved] = linked_covariances(
            before, covariance[moved], constants, constants_covariance(link)
        )
    return parameters, covariance


def _bounded(
    parameters: FloatArray, configuration: CalibrationConfiguration
) -> tuple[FloatArray, list[str]]:
    """Parameters inside the published bounds, and which bound each item touches."""
    em = configuration.em
    ranges = [
        ("discrimination", *em.discrimination_bounds),
        ("difficulty", *em.difficulty_bounds),
        ("guessing", 0.0, em.guessing_bounds[1]),
    ]
    low, high = np.array([r[1] for r in ranges]), np.array([r[2] for r in ranges])
    clipped = np.clip(parameters, low, high)
    notes = []
    for row in parameters:
        touched = [
            f"{name} {'low' if value <= smallest else 'high'}"
            for value, (name, smallest, largest) in zip(row, ranges, strict=True)
            if (value <= smallest + 1e-9 and smallest != 0.0) or value >= largest - 1e-9
        ]
        notes.append(", ".join(touched))
    return clipped, notes


def _authored(state: CalibrationState, bank: ItemBank) -> FloatArray:
    prior = from_internal(state.prior_mean, state.parameters[:, 2] > 0.0)
    known = np.asarray(np.isfinite(bank.parameters).all(axis=1))
    return np.asarray(np.where(known[:, None], bank.parameters, prior))


def _standing(
    earlier: SnapshotItem,
    state: CalibrationState,
    j: int,
    configuration: CalibrationConfiguration,
) -> SnapshotItem:
    """The values published before, with tonight's counts."""
    total = int(state.total_counts[j])
    return SnapshotItem(
        **{
            **{name: getattr(earlier, name) for name in earlier.__dataclass_fields__},
            "source": CARRIED,
            "track": _track(CARRIED, total, earlier, configuration),
            "window_count": int(state.window_counts[j]),
            "total_count": total,
        }
    )


def _track(
    source: str,
    total_count: int,
    earlier: SnapshotItem | None,
    configuration: CalibrationConfiguration,
) -> str:
    """Trusted from the threshold on, and for good; an author's value never is."""
    if source == ANCHOR or (earlier is not None and earlier.track == TRUSTED):
        return TRUSTED
    enough = total_count >= configuration.trust_threshold
    return TRUSTED if enough and source != AUTHOR else PROVISIONAL
