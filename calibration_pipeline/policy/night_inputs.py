"""What a night reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from calibration_pipeline.records import AnchorSet, CalibrationState, DayResponses, ItemBank


@dataclass(frozen=True)
class NightInputs:
    """Everything a night reads.

    Attributes
    ----------
    partition, attempt
        The local day, and which try at it this is.
    window, leaving
        Archived days in the window, and those that left it since the parent folded; in order.
    parent
        Newest accepted state of an earlier partition; None on the first night.
    baselines
        By scale without anchors, the first accepted state that fitted it: that night set the
        scale. Scales that no night has fitted yet are absent.
    bank, anchors
        The pool and the anchor set in force.
    """

    partition: date
    attempt: int
    window: Sequence[DayResponses]
    leaving: Sequence[DayResponses]
    parent: CalibrationState | None
    baselines: Mapping[str, CalibrationState]
    bank: ItemBank
    anchors: AnchorSet
