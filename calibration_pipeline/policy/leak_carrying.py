"""What an item carries, with the answers of its leak taken out.

Days that were folded in can't be taken out one by one. A leak that is found late gives the item
back what it carried on the night before its onset; of the days since, those still in the window
count.
"""

from collections.abc import Mapping
from dataclasses import replace

from calibration_pipeline.policy.carrying import CarriedItems
from calibration_pipeline.records import CalibrationState, ItemBank, ItemKey


def without_leaked_days(
    carried: CarriedItems,
    before: Mapping[ItemKey, CalibrationState | None],
    bank: ItemBank,
    half_life_days: float,
) -> CarriedItems:
    """Put some items' carried information back to what it was before their leak.

    Parameters
    ----------
    carried
        As taken over from the parent.
    before
        The items, with an accepted state from before their leak; None: they carried nothing then.
    bank
        Gives the items' positions.
    half_life_days
        Age at which carried information counts half.
    """
    if not before or carried.folded_through is None:
        return carried
    information, linear = carried.information.copy(), carried.linear.copy()
    carried_from, counts = carried.carried_from.copy(), carried.folded_counts.copy()
    for key, state in before.items():
        (j,) = bank.positions([key])
        information[j], linear[j], counts[j] = 0.0, 0.0, 0
        if state is None or state.folded_through is None or key not in state.keys:
            continue
        i = state.keys.index(key)
        age = (carried.folded_through - state.folded_through).days
        decay = 0.5 ** (age / half_life_days)
        information[j] = decay * state.carried_information[i]
        linear[j] = decay * state.carried_linear[i]
        carried_from[j] = state.carried_from[i]
        counts[j] = state.total_counts[i] - state.window_counts[i]
    return replace(
        carried,
        information=information,
        linear=linear,
        carried_from=carried_from,
        folded_counts=counts,
    )
