"""What a demo shows at its end: what happened, and how near it came to the truth."""

from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.interfaces.cli.console import print_table
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.flags.reading import flags_now
from calibration_pipeline.settings import Settings

if TYPE_CHECKING:
    from calibration_pipeline.policy.simulated_programme import SimulationPlan
    from calibration_pipeline.records import (
        CalibrationState,
        Flag,
        FlagReview,
        ScaleLink,
        SnapshotItem,
    )


def print_summary(settings: Settings, plan: "SimulationPlan") -> None:
    """Print the last night's tables."""
    with configured_database() as database:
        from calibration_pipeline.store.results import read_flags, read_links
        from calibration_pipeline.store.snapshots import current_version, read_snapshot_items
        from calibration_pipeline.store.states import read_state

        version, state = current_version(database), read_state(database, plan.last_day)
        if version is None or state is None:
            raise NightBlockedError(
                "no night had enough answers to publish anything: ask for more nights or sessions"
            )
        items = read_snapshot_items(database, version)
        flags, now = read_flags(database, plan.last_day), flags_now(database)
        links = read_links(database, plan.last_day)
    rows = [
        *_answers(state, plan),
        *_items(state, items, settings.policy.minimum_responses),
        *_flags(flags, now.reviews, plan.last_day),
        *_links(links),
        {"what": "Version published", "figure": version, "remark": "read by the alias 'current'"},
    ]
    print_table(
        rows,
        {"what": f"The night of {plan.last_day}", "figure": "", "remark": ""},
    )
    _print_faults(plan, now.reviews)
    _print_recovery(plan, items)


def _print_faults(plan: "SimulationPlan", reviews: "tuple[FlagReview, ...]") -> None:
    """What is wrong with the pool, as its simulator knows, and what the nights found of it."""
    from calibration_pipeline.policy.flag_reviews import is_open
    from calibration_pipeline.policy.simulated_programme import simulate_programme

    pool = simulate_programme(plan).pool
    found: dict[str, list[FlagReview]] = {}
    for review in reviews:
        found.setdefault(review.episode.key[0], []).append(review)
    known = f"known to {plan.leak_share:.0%} of candidates from {plan.leaked_from} on"
    faults = [
        *(
            (pool.item_ids[row], "scored with a wrong key")
            for row in np.flatnonzero(pool.is_miskeyed)
        ),
        *((pool.item_ids[row], known) for row in np.flatnonzero(pool.is_leaked)),
    ]
    rows = [
        {"item": item, "fault": fault, "flags": _flagged(found.pop(item, []))}
        for item, fault in faults
    ]
    others = sum(is_open(review) for kept in found.values() for review in kept)
    print_table(
        rows,
        {"item": "Item", "fault": "What is wrong with it", "flags": "Flagged, and since when"},
        title="What the simulator hid in the pool",
        empty="The simulator hid no fault in this pool.",
    )
    if others:
        what = "a false alarm" if others == 1 else "all false alarms"
        items = "its item" if others == 1 else "their items"
        click.echo(f"Other open flags: {others}, {what}: nothing is wrong with {items}.\n")


def _flagged(reviews: "list[FlagReview]") -> str:
    """Name a fault's flags; one that waits for nobody any more has found it all the same."""
    from calibration_pipeline.policy.flag_reviews import OPEN

    return (
        "; ".join(
            f"{review.episode.reason.replace('_', ' ')}, {review.episode.opened_on}"
            + ("" if review.status == OPEN else f" ({review.status})")
            for review in reviews
        )
        or "not yet"
    )


def _answers(state: "CalibrationState", plan: "SimulationPlan") -> list[dict[str, Any]]:
    scale = state.scales[0]
    return [
        {"what": "Nights calibrated", "figure": plan.days},
        {"what": "Responses in all", "figure": plan.response_count},
        {
            "what": "Responses in the window",
            "figure": int(state.window_counts.sum()),
            "remark": f"{len(state.window)} days, {scale.session_count:,} sessions",
        },
        {
            "what": "Ability population",
            "figure": f"{scale.population_mean:+.3f} ± {scale.population_sd:.3f}",
            "remark": "simulated: 0 ± 1",
        },
    ]


def _items(
    state: "CalibrationState", items: "tuple[SnapshotItem, ...]", minimum: int
) -> list[dict[str, Any]]:
    sources, tracks = Counter(i.source for i in items), Counter(i.track for i in items)
    free = ~state.is_anchor
    few = int((free & (state.window_counts > 0) & (state.window_counts < minimum)).sum())
    none = int((free & (state.window_counts == 0)).sum())
    return [
        {
            "what": "Items refitted",
            "figure": sources["fitted"],
            "remark": f"{tracks['trusted']:,} of the pool trusted, {tracks['provisional']:,} "
            "provisional",
        },
        {
            "what": "Items skipped",
            "figure": few + none,
            "remark": f"{few} with fewer than {minimum} responses, {none} with none",
        },
        {"what": "Anchors held", "figure": sources["anchor"]},
    ]


def _flags(
    flags: "tuple[Flag, ...]", reviews: "tuple[FlagReview, ...]", night: date
) -> list[dict[str, Any]]:
    """What waits for a reviewer, and what chance explains."""
    from calibration_pipeline.policy.flag_reviews import count_flags, is_open

    counts = count_flags(reviews, night)
    reasons = Counter(review.episode.reason for review in reviews if is_open(review))
    shown = [f"{n} {reason.replace('_', ' ')}" for reason, n in sorted(reasons.items())]
    return [
        {
            "what": "Flags open",
            "figure": counts.open,
            "remark": "; ".join([*shown, f"{counts.new} new, {counts.resolved} resolved"]),
        },
        {
            "what": "Thresholds crossed",
            "figure": len(flags),
            "remark": f"{sum(not f.is_credible for f in flags):,} of them within noise",
        },
    ]


def _links(links: "tuple[ScaleLink, ...]") -> list[dict[str, Any]]:
    return [
        {
            "what": "Linking constants",
            "figure": f"{link.slope:.4f}, {link.intercept:+.4f}",
            "remark": f"{link.method}, {link.anchors_used} anchors used, " + _left_out(link),
        }
        for link in links
    ]


def _left_out(link: "ScaleLink") -> str:
    """How many anchors the link did without, and the commonest kind of reason."""
    from calibration_pipeline.policy.link_reasons import kind_of

    kinds = Counter(map(kind_of, link.anchors_left_out.values()))
    if not kinds:
        return "none left out"
    (kind, count), *_ = kinds.most_common(1)
    return f"{len(link.anchors_left_out)} left out ({kind}: {count})"


def _print_recovery(plan: "SimulationPlan", items: "tuple[SnapshotItem, ...]") -> None:
    """Published against true parameters, for the healthy items that the night refitted."""
    from calibration_pipeline.policy.recovery import measure_recovery
    from calibration_pipeline.policy.simulated_programme import simulate_programme

    pool = simulate_programme(plan).pool
    position = {item_id: row for row, item_id in enumerate(pool.item_ids)}
    rows = [position[item.key[0]] for item in items]
    truth, author = pool.truth[rows], pool.author_difficulty[rows]
    healthy = ~(pool.is_miskeyed | pool.is_leaked)[rows]
    fitted = np.array([item.source == "fitted" for item in items]) & healthy
    if not fitted.any():
        return
    found = [asdict_rounded(r) for r in measure_recovery(items, truth, fitted)]
    error = float(np.sqrt(np.mean((author - truth[:, 1])[fitted] ** 2)))
    print_table(
        found,
        {
            "parameter": "Parameter",
            "items": "Items",
            "rmse": "RMSE",
            "bias": "Bias",
            "correlation": "Correlation",
            "coverage": "95% intervals that hold the truth",
        },
        title=f"Published against true (the authors' guesses of difficulty: RMSE {error:.3f})",
    )


def asdict_rounded(record: Any) -> dict[str, Any]:
    """Give a record's fields, shares as percentages."""
    fields = {name: getattr(record, name) for name in record.__dataclass_fields__}
    return fields | {"coverage": f"{record.coverage:.1%}"}
