"""How anchors are selected, what a stable item is, and when all of them are doubted."""

from dataclasses import dataclass

from calibration_pipeline.irt.configuration import require


@dataclass(frozen=True)
class AnchorConfiguration:
    """Settings of the selection of anchors, and of the watch over them (docs/anchors.md).

    Attributes
    ----------
    share
        Share of each scale's items to select.
    stable_days
        An item must have had answers before these, and neither have changed nor have been flagged
        for drift in them.
    minimum_total
        Answers in all that an anchor must have more than.
    movement_nights
        Nights over which an item's movement is looked at.
    movement_margin
        Movement of the difficulty that is tolerated, as far as the item's precision allows.
    movement_confidence
        Of each of the two one-sided tests: an item that has moved by its margin is refused with
        this probability.
    movement_power
        Where the tolerated movement can't be told from none, the margin is widened to the one
        within which this share of stable items is found.
    movement_limit
        Widest such margin: an item that is known less well says too little of whether it moved.
    difficulty_strata
        Groups of equal size, by difficulty, that anchors are spread over.
    watch_shift, watch_z
        Free items that have become harder, or easier, by more than this, compared with all anchors,
        are an alarm if it is so many standard errors.
    watch_false_alarm_nights
        Mean number of nights between two alarms that candidates changed when they didn't.
    """

    share: float = 0.12
    stable_days: int = 90
    minimum_total: int = 500
    movement_nights: int = 42
    movement_margin: float = 0.05
    movement_confidence: float = 0.9
    movement_power: float = 0.9
    movement_limit: float = 0.6
    difficulty_strata: int = 10
    watch_shift: float = 0.1
    watch_z: float = 4.0
    watch_false_alarm_nights: float = 1000.0

    def __post_init__(self) -> None:
        """Refuse values by which no set can be selected.

        Raises
        ------
        ValueError
            Names the setting and what it has to be.
        """
        require(0 < self.share <= 1, "anchors.share must lie above 0 and be 1 at most")
        require(self.minimum_total >= 0, "anchors.minimum_total must be 0 or more")
        for name in ("stable_days", "movement_nights", "difficulty_strata"):
            require(getattr(self, name) >= 1, f"anchors.{name} must be 1 or more")
        for name in ("movement_confidence", "movement_power"):
            require(0.5 <= getattr(self, name) < 1, f"anchors.{name} must be .5 or more, below 1")
        for name in ("watch_shift", "watch_z"):
            require(getattr(self, name) > 0, f"anchors.{name} must be above 0")
        require(
            self.watch_false_alarm_nights >= 10,
            "anchors.watch_false_alarm_nights must be 10 or more",
        )
        require(self.movement_margin > 0, "anchors.movement_margin must be above 0")
        require(
            self.movement_margin <= self.movement_limit,
            "anchors.movement_limit must not be below movement_margin",
        )
