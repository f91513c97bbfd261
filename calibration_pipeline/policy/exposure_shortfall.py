"""Why exposure control falls short of its maximum, and what to do about it."""

from math import inf

import numpy as np

from calibration_pipeline.irt.exposure_control import chance_margin, is_judged
from calibration_pipeline.policy.exposure_control import level_shares
from calibration_pipeline.records import ScaleExposure


def explain_shortfall(control: ScaleExposure) -> str:
    """Say which of levels, pool and search is the cause, and the remedy; for one not reached.

    An item that is open with probability p is seen by at most that share of the candidates, unless
    nothing open is left and the best item is given all the same. So an item that more have seen
    shows that the pool is exhausted. One whose probability could be lower shows that the search
    has stopped too early.
    """
    counts = level_shares(control) * control.candidates
    (unjudged,) = np.nonzero(~is_judged(control.maximum_rate, counts))
    if len(unjudged):
        level = int(unjudged[0])
        return (
            f"{_level(control, level)} has too few of them to judge it by: "
            f"{_merge(control, level)}simulate more verifying candidates"
        )
    level, j = divmod(int(control.rates.argmax()), len(control.keys))
    rate, own = control.rates[level, j], control.probability[level, j]
    whose = f"of {_level(control, level)}" if len(counts) > 1 else "of candidates,"
    seen = f"item {control.keys[j][0]} is seen by {rate:.3g} {whose} not {control.maximum_rate:.3g}"
    margin = chance_margin(control.maximum_rate, counts)[level]
    if rate > control.probability[:, j].max() + margin:
        return (
            f"{seen}, also by those to whom it is shut, because nothing open is left: the pool can "
            "hardly give such tests; allow a higher maximum or shorter tests"
        )
    if own <= control.maximum_rate and len(counts) > 1:
        return (
            f"{seen}, while their ability estimates lie in other levels, and a test tells ability "
            f"to ±{control.mean_sd:.2f}: {_merge(control, level)}give longer tests"
        )
    return f"{seen}: {_search_remedy(control, own)}"


def _search_remedy(control: ScaleExposure, probability: float) -> str:
    """The pool could do better: say what the method needs."""
    if control.method != "sympson-hetter":
        return "the search stopped too early, the pool could do it; take more candidates per cycle"
    if probability <= control.settings["floor"]:
        return f"the floor of {probability:g} holds it open; lower that"
    return (
        "the search stopped too early, the pool could do it; take more iterations, or the method "
        "eligibility, which needs no tuning"
    )


def _level(control: ScaleExposure, level: int) -> str:
    """Name a level by its bounds, and by how many candidates it has."""
    low, high = ([-inf, *control.cuts, inf][level + k] for k in (0, 1))
    bounds = [f"above {low:g}"] * (low > -inf) + [f"up to {high:g}"] * (high < inf)
    where = f" (θ {' and '.join(bounds)})" if bounds else ""
    count = level_shares(control)[level] * control.candidates
    return f"level {level}{where}, about {count:,.0f} of {control.candidates:,} candidates,"


def _merge(control: ScaleExposure, level: int) -> str:
    """Say which cut to leave out, and "or": the one to the neighbour with more candidates."""
    shares = level_shares(control)
    if len(shares) == 1:
        return ""
    above = level == 0 or (level + 1 < len(shares) and shares[level + 1] > shares[level - 1])
    cut, side = (control.cuts[level], "above") if above else (control.cuts[level - 1], "below")
    return f"merge it with the level {side} by leaving out the cut at {cut:g}, or "
