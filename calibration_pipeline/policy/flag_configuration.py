"""Settings of flags: what calls a reviewer, and what ends the call."""

from dataclasses import dataclass

from calibration_pipeline.irt.configuration import require


@dataclass(frozen=True)
class FlagConfiguration:
    """When a flag asks for a review, and for how long.

    Attributes
    ----------
    drift_credible_z
        z from which a change of an item against its own past is credible. Every item is compared
        every night, so that it is set by the false alarms that a pool can afford; see
        `flag_power.false_flags_a_night`.
    review_only_credible
        Whether only credible flags ask for a review; otherwise every threshold that is crossed.
    persistent_z
        A flag that is open stays so while its threshold is crossed and |z| is at least this.
    resolve_nights
        Nights in a row on which an item was judged and not flagged, after which a flag is resolved.
        A change stays open for a whole window in any case.
    dismissal_growth
        A dismissed flag stays silent until |z| is this much larger than when it was dismissed.
    """

    drift_credible_z: float = 3.5
    review_only_credible: bool = True
    persistent_z: float = 2.0
    resolve_nights: int = 5
    dismissal_growth: float = 2.0

    def __post_init__(self) -> None:
        """Refuse values under which flags make no sense.

        Raises
        ------
        ValueError
            Names the setting and what it has to be.
        """
        require(self.drift_credible_z > 0, "drift_credible_z must be above 0")
        require(self.persistent_z >= 0, "persistent_z must be 0 or more")
        require(self.resolve_nights >= 1, "resolve_nights must be 1 or more")
        require(self.dismissal_growth > 0, "dismissal_growth must be above 0")
