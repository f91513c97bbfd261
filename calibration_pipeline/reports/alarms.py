"""What somebody should look at first in the morning, one sentence each."""

from collections.abc import Sequence

from calibration_pipeline.records import CalibrationState, Flag, ScaleLink, ScaleWatch
from calibration_pipeline.reports.templating import counted, item_text


def alarms_of_night(
    state: CalibrationState,
    flags: Sequence[Flag],
    new: Sequence[Flag],
    links: Sequence[ScaleLink],
    watched: Sequence[ScaleWatch],
) -> tuple[str, ...]:
    """List a night's alarms; none where nobody has to come.

    A flag is work for a reviewer and no alarm, but for a leak that is suspected since tonight.

    Parameters
    ----------
    flags, new
        Tonight's, and those of them that wait for a reviewer since tonight.
    """
    leaked = sorted({item_text(f.key) for f in new if f.reason == "suspected_leak"})
    changed = int((state.is_contradicted & state.is_accepted).sum())
    drifted = sum(f.reason == "anchor_drift" and f.is_credible for f in flags)
    found = [
        f"The estimation of scale {scale.name} did not converge"
        for scale in state.scales
        if scale.fitted and not scale.converged
    ]
    found += [
        f"Linking constants of scale {link.scale} lie outside their bounds"
        for link in links
        if not link.is_within_bounds
    ]
    found += [
        f"Scale {watch.scale}: look at the anchors ({'; '.join(watch.reasons)})"
        for watch in watched
        if watch.is_alarm
    ]
    if leaked:
        named = ", ".join(leaked[:3]) + (", …" if len(leaked) > 3 else "")
        found.append(f"{counted(len(leaked), 'item')} newly suspected of a leak: {named}")
    if drifted:
        found.append(f"{counted(drifted, 'anchor')} credibly off the reference")
    if changed:
        found.append(
            f"{counted(changed, 'item')} changed; what it carried no longer counts"
            if changed == 1
            else f"{counted(changed, 'item')} changed; what they carried no longer counts"
        )
    return tuple(found)
