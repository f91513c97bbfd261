"""Gather what a night reads, from answers, pool and earlier nights; never from snapshots."""

from datetime import date, timedelta

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.night import NightInputs
from calibration_pipeline.policy.windows import leaving_days, window_days
from calibration_pipeline.records import AnchorSet, CalibrationState, DayResponses, ItemBank
from calibration_pipeline.store.calibration_store import CalibrationStore


def read_night_inputs(
    store: CalibrationStore,
    partition: date,
    configuration: CalibrationConfiguration,
    *,
    refresh: bool = False,
) -> NightInputs:
    """Read a night's inputs.

    A night that was fitted and accepted before uses the days and revisions recorded then, unless
    told to `refresh`: whatever arrived since, running it again gives the same bytes as long as
    the nights before it, the bank and the settings stand as they did.

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
    days = window_days(partition, configuration.window_days)
    pinned = {} if refresh else _recorded_window(store, partition)
    if pinned:
        days = [day for day in days if day in pinned]
    leaving: list[date] = []
    if parent is not None:
        folded_through = parent.folded_through or partition - timedelta(
            days=configuration.window_days
        )
        leaving = leaving_days(folded_through, partition, configuration.window_days)
        pinned |= {day: revision for day, revision, _ in parent.window if day in set(leaving)}
    return NightInputs(
        partition=partition,
        attempt=store.next_attempt(partition),
        window=_read_days(store, days, pinned),
        leaving=_read_days(store, leaving, pinned),
        parent=parent,
        baselines=_baselines(store, partition, bank, anchors),
        bank=bank,
        anchors=anchors,
    )


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


def _recorded_window(store: CalibrationStore, partition: date) -> dict[date, int]:
    """Days and revisions of the night's accepted fit; nothing if it had none worth repeating."""
    earlier = store.state(partition)
    if earlier is None or not earlier.is_accepted:
        return {}
    if not any(scale.fitted for scale in earlier.scales):
        return {}
    return {day: revision for day, revision, _ in earlier.window}


def _read_days(
    store: CalibrationStore, days: list[date], pinned: dict[date, int]
) -> list[DayResponses]:
    """Days without an archive are absent: nothing was extracted for them."""
    newest = store.archived_days(days)
    return [store.day(day, pinned.get(day, newest[day].revision)) for day in days if day in newest]
