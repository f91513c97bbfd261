"""Gather what a night reads, from answers, pool and earlier nights; never from snapshots."""

from datetime import date, timedelta

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.night_inputs import NightInputs
from calibration_pipeline.policy.windows import leaving_days, window_days
from calibration_pipeline.records import (
    AnchorSet,
    CalibrationState,
    DayResponses,
    ItemBank,
    ItemPriorFit,
)
from calibration_pipeline.store.calibration_store import CalibrationStore


def read_night_inputs(
    store: CalibrationStore,
    partition: date,
    configuration: CalibrationConfiguration,
    *,
    refresh: bool = False,
) -> NightInputs:
    """Read a night's inputs.

    At a night's first try every day is read in its newest revision, those that are folded in
    included: a day that has left the window is folded as it stands by then. A night that was
    fitted and accepted before uses the days and revisions recorded in its window and among its
    folded days, unless told to `refresh`: whatever arrived since, running it again gives the same
    bytes as long as the nights before it, the bank and the settings stand as they did.

    Where the night before it was run again on newer revisions, these are used for the days that
    the two share: a rebuilt night doesn't go back to what has been superseded. A day that it had no
    reason to look at then, as under a shorter window, is read in its newest revision.

    Raises
    ------
    NightBlockedError
        The night's own day has not been extracted, or the bank is empty.
    """
    if not store.archived_days([partition]):
        raise NightBlockedError(
            f"the answers of {partition} have not been extracted: materialise the day's responses "
            "first"
        )
    parent = store.newest_accepted_state(partition)
    bank, anchors = store.bank(partition), store.anchors(partition)
    if not bank.n_items:
        raise NightBlockedError("the bank is empty: import one with `calibrate import-bank FILE`")
    window = window_days(partition, configuration.window_days)
    leaving = _days_to_fold(parent, partition, configuration)
    pinned: dict[date, int] = {}
    earlier = None if refresh else _fit_worth_repeating(store, partition)
    if earlier is not None:
        pinned = _revisions_to_repeat(store, earlier, parent)
        # Of the days that it looked at, those without an archive then stay out, even if they have
        # one now.
        looked_after = _last_day_not_looked_at(store, earlier)
        window, leaving = (
            [day for day in days if day in pinned or day <= looked_after]
            for days in (window, leaving)
        )
    return NightInputs(
        partition=partition,
        attempt=store.next_attempt(partition),
        window=_read_days(store, window, pinned),
        leaving=_read_days(store, leaving, pinned),
        parent=parent,
        baselines=_baselines(store, partition, bank, anchors),
        bank=bank,
        anchors=anchors,
        item_priors=_item_priors(store, partition, earlier),
    )


def _item_priors(
    store: CalibrationStore, partition: date, earlier: CalibrationState | None
) -> ItemPriorFit | None:
    """Priors of new items: the newest, or those that a night which is repeated used before."""
    if earlier is None:
        return store.item_priors(partition)
    number = earlier.item_prior_fit
    return None if number is None else store.item_prior_fit(number)


def _baselines(
    store: CalibrationStore, partition: date, bank: ItemBank, anchors: AnchorSet
) -> dict[str, CalibrationState]:
    """The nights that set the scales without anchors."""
    anchored = set(bank.scale_index[bank.positions(anchors.keys)].tolist())
    found = {
        name: store.first_fitted_state(partition, name)
        for number, name in enumerate(bank.scale_names)
        if number not in anchored
    }
    return {name: state for name, state in found.items() if state is not None}


def _days_to_fold(
    parent: CalibrationState | None, partition: date, configuration: CalibrationConfiguration
) -> list[date]:
    """Days that have left the window since the parent; none on the first night."""
    if parent is None:
        return []
    length = configuration.window_days
    folded_through = parent.folded_through or partition - timedelta(days=length)
    return leaving_days(folded_through, partition, length)


def _fit_worth_repeating(store: CalibrationStore, partition: date) -> CalibrationState | None:
    """The night's newest accepted fit; None if it had none, or nothing to fit.

    Rejected tries are passed over: later nights start from what was accepted before them.
    """
    for attempt in range(store.next_attempt(partition) - 1, 0, -1):
        earlier = store.state(partition, attempt)
        if earlier and earlier.is_accepted and any(scale.fitted for scale in earlier.scales):
            return earlier
    return None


def _revisions_to_repeat(
    store: CalibrationStore, earlier: CalibrationState, parent: CalibrationState | None
) -> dict[date, int]:
    """The revisions that a night used, or those in its parent's window where they are newer.

    What the parent holds is still to be counted, so a day that it alone has read is among them.
    Where candidates have been erased since, what stands in a revision's place is read, and is as
    old as what it replaced.
    """
    pinned: dict[date, int] = {}
    shared = parent.window if parent else ()
    for day, recorded, _ in (*earlier.window, *earlier.folded, *shared):
        found = {pinned.get(day, recorded), recorded}
        pinned[day] = max(found, key=lambda revision: store.first_recorded_as(day, revision))
    return {day: store.kept_revision(day, revision) for day, revision in pinned.items()}


def _last_day_not_looked_at(store: CalibrationStore, state: CalibrationState) -> date:
    """The day before those that a night folded or had in its window: folded by earlier nights."""
    start = store.state(*state.parent) if state.parent else state
    return (start.folded_through if start else None) or date.min


def _read_days(
    store: CalibrationStore, days: list[date], pinned: dict[date, int]
) -> list[DayResponses]:
    """Days without an archive are absent: nothing was extracted for them."""
    newest = store.archived_days(days)
    return [store.day(day, pinned.get(day, newest[day].revision)) for day in days if day in newest]
