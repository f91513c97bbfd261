"""Settings of the leak detector."""

import hashlib
import json
from dataclasses import asdict, dataclass

from calibration_pipeline.irt.configuration import require
from calibration_pipeline.irt.leak_model import LeakModel


@dataclass(frozen=True)
class LeakConfiguration:
    """What is watched for, and how seldom a false alarm may be.

    Attributes
    ----------
    watch
        Whether nights watch for leaks. If not, no answer is left out.
    item_nights_per_false_alarm
        Nights of healthy items, all counted, on which one alarm is expected.
    shares, budgets
        Shares of candidates with pre-knowledge that are watched for, and how the false alarms are
        divided over them.
    success
        Probability of a right answer with pre-knowledge.
    time_factor
        Time that such an answer takes, as a share of the usual time.
    uses_times
        Whether response times count, where they are logged.
    minimum_times
        Timed answers that an item needs before its times count.
    time_half_life_days, traffic_half_life_days
        Age at which a time counts half in an item's usual time, and a day in its traffic.
    planned_share
        Share of leaked answers that the published delays are for.
    longest_delay_days
        A leak that isn't found within so many days counts as never found.
    """

    watch: bool = True
    item_nights_per_false_alarm: float = 10_000.0
    shares: tuple[float, ...] = (0.2, 0.6)
    budgets: tuple[float, ...] = (0.85, 0.15)
    success: float = 0.95
    time_factor: float = 0.6
    uses_times: bool = True
    minimum_times: int = 100
    time_half_life_days: float = 60.0
    traffic_half_life_days: float = 7.0
    planned_share: float = 0.5
    longest_delay_days: int = 365

    def __post_init__(self) -> None:
        """Refuse values under which alarms mean nothing.

        Raises
        ------
        ValueError
            Names the setting and what it has to be.
        """
        self.model()
        for name in ("item_nights_per_false_alarm", "time_half_life_days",
                     "traffic_half_life_days"):  # fmt: skip
            require(getattr(self, name) > 0, f"{name} must be above 0")
        for name in ("minimum_times", "longest_delay_days"):
            require(getattr(self, name) >= 1, f"{name} must be 1 or more")
        require(0 < self.planned_share <= 1, "planned_share must lie in (0, 1]")

    def model(self, scaling_constant: float = 1.0) -> LeakModel:
        """The alternatives as the detector takes them, at a D."""
        return LeakModel(
            shares=tuple(self.shares),
            budgets=tuple(self.budgets),
            success=self.success,
            time_factor=self.time_factor,
            scaling_constant=scaling_constant,
        )

    def detection_digest(self, scaling_constant: float) -> str:
        """SHA-256 of what running values rest on: under other alternatives they mean nothing.

        The rate of false alarms isn't among it: thresholds are found anew every night.
        """
        model = asdict(self.model(scaling_constant))
        del model["budgets"]
        return hashlib.sha256(json.dumps(model, sort_keys=True).encode()).hexdigest()
