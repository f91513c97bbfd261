"""Settings of where new items should be shown."""

from dataclasses import dataclass

from calibration_pipeline.irt.configuration import require


@dataclass(frozen=True)
class ColdStartConfiguration:
    """Which items are on the list, and what their answers are worth.

    Attributes
    ----------
    difficulty_se
        Standard error of b that an item is to reach; with less it leaves the list.
    ability_se
        Standard error of the abilities by which the engine picks candidates for an item: an answer
        of somebody whose ability is uncertain teaches less.
    reach_sds
        Candidates further than this from the population's mean, in its standard deviations, are
        too few to be asked for.
    maximum_answers
        Nothing beyond is planned for.
    """

    difficulty_se: float = 0.3
    ability_se: float = 0.3
    reach_sds: float = 2.0
    maximum_answers: int = 2000

    def __post_init__(self) -> None:
        """Refuse values under which nothing can be planned.

        Raises
        ------
        ValueError
            Names the setting and what it has to be.
        """
        for name in ("difficulty_se", "reach_sds"):
            require(getattr(self, name) > 0, f"{name} must be above 0")
        require(self.ability_se >= 0, "ability_se must be 0 or more")
        require(self.maximum_answers >= 1, "maximum_answers must be 1 or more")
