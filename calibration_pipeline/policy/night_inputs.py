"""What a night reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from calibration_pipeline.records import (
    AnchorSet,
    CalibrationState,
    DayArray,
    DayResponses,
    ItemBank,
    ItemKey,
    ItemPriorFit,
)


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
    left_out_from
        ``(bank.n_items,)`` first day whose answers to the item are left out, since it is suspected
        to have leaked then; NaT: none. None where nights don't watch for leaks.
    before_leaks
        Items of which leaked answers have been folded in, with the newest accepted state from
        before their leak; None where there is no such state.
    leak_digest
        Of the leak watch that the night hands on; empty where nights don't watch.
    item_priors
        What calibrated items have taught about new ones; None where nothing has been learned yet.
    """

    partition: date
    attempt: int
    window: Sequence[DayResponses]
    leaving: Sequence[DayResponses]
    parent: CalibrationState | None
    baselines: Mapping[str, CalibrationState]
    bank: ItemBank
    anchors: AnchorSet
    left_out_from: DayArray | None = None
    before_leaks: Mapping[ItemKey, CalibrationState | None] = field(default_factory=dict)
    leak_digest: str = ""
    item_priors: ItemPriorFit | None = None
