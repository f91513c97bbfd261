"""Where new items should be shown."""

from dataclasses import dataclass

from calibration_pipeline.records.arrays import ItemKey


@dataclass(frozen=True)
class ColdStartItem:
    """One item whose difficulty isn't known well enough yet, on the published scale.

    Attributes
    ----------
    key, scale
        The item.
    total_count
        Answers so far.
    difficulty, difficulty_se
        What is believed of b now.
    answers_needed, answers_cautious
        Further answers until the standard error of b is reached, by half and by nine in ten of the
        items that are believed in like this one; None: more than are planned for.
    answers_unaimed
        The former, if it is shown to candidates as they come.
    abilities, shares
        Whom to show it to, and which share of the answers to take there; the shares sum to 1.
    path_answers, path_se
        Expected (median) standard error of b after so many further answers.
    """

    key: ItemKey
    scale: str
    total_count: int
    difficulty: float
    difficulty_se: float
    answers_needed: int | None
    answers_cautious: int | None
    answers_unaimed: int | None
    abilities: tuple[float, ...]
    shares: tuple[float, ...]
    path_answers: tuple[int, ...]
    path_se: tuple[float, ...]
