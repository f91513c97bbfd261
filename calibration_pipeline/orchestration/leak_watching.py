"""The leak watch of a night: what it reads, what it leaves out of the fit, and its verdicts."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

import numpy as np

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_reasons import SUSPECTED_LEAK
from calibration_pipeline.policy.flag_reviews import DISMISS
from calibration_pipeline.policy.leak_watch import (
    judge_night,
    newly_left_out,
    watch_digest,
    watch_night,
)
from calibration_pipeline.policy.night_inputs import NightInputs
from calibration_pipeline.records import (
    CalibrationState,
    FlagDecision,
    ItemKey,
    LeakVerdicts,
    LeakWatch,
)
from calibration_pipeline.store.calibration_store import CalibrationStore


def watch_for_leaks(
    store: CalibrationStore, inputs: NightInputs, configuration: CalibrationConfiguration
) -> tuple[NightInputs, LeakWatch | None]:
    """Watch the night's answers, and leave out of its fit those that are suspected.

    A fit on the leaked answers would take the leak for an easier item; so the watch comes first,
    and holds them against what was accepted before.
    """
    before = store.leak_watch(inputs.parent) if inputs.parent else None
    dismissals = dismissed_on(store.flag_decisions(inputs.partition))
    watch = watch_night(inputs, before, dismissals, configuration)
    if watch is None:
        return inputs, None
    return replace(
        inputs,
        left_out_from=watch.left_out_from,
        before_leaks=_before_leaks(store, inputs.parent, newly_left_out(watch, before)),
        leak_digest=watch_digest(watch),
    ), watch


def leak_verdicts(
    store: CalibrationStore, state: CalibrationState, configuration: CalibrationConfiguration
) -> LeakVerdicts | None:
    """Judge an accepted state's items; None where the night didn't watch."""
    watch = store.leak_watch(state)
    if watch is None:
        return None
    return judge_night(watch, state, store.bank(state.partition), configuration)


def dismissed_on(decisions: Iterable[FlagDecision]) -> dict[ItemKey, date]:
    """Items whose suspicion was dismissed and not taken up again, with the night that was seen.

    Parameters
    ----------
    decisions
        In the order in which they were made.
    """
    newest = {d.key: d for d in decisions if d.flag_reason == SUSPECTED_LEAK}
    return {key: d.night for key, d in newest.items() if d.decision == DISMISS}


def _before_leaks(
    store: CalibrationStore, parent: CalibrationState | None, onsets: dict[ItemKey, date]
) -> dict[ItemKey, CalibrationState | None]:
    """For items that carry answers of their leak, or dropped what they carried because of it.

    The newest accepted state from before the onset knows what they carried then.
    """
    if parent is None or parent.folded_through is None or not onsets:
        return {}
    positions = {key: j for j, key in enumerate(parent.keys)}
    found: dict[ItemKey, CalibrationState | None] = {}
    for key, onset in onsets.items():
        j = positions.get(key)
        is_carried = onset <= parent.folded_through
        was_dropped = j is not None and parent.carried_from[j] > np.datetime64(onset)
        if is_carried or was_dropped:
            found[key] = store.newest_accepted_state(onset)
    return found
