"""A night's answers as the leak watch takes them in, day by day.

What tells that an answer is evidence (a candidate's first to the item, and no rapid guess) is found
in all days that the night reads; a day alone has too few answers for it.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from calibration_pipeline.irt.leak_abilities import abilities_from_other_answers
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.exposures import repeated_exposures
from calibration_pipeline.policy.gathering import gather
from calibration_pipeline.policy.leaks import LeakDay
from calibration_pipeline.policy.population_groups import (
    assign_groups,
    population_cells,
    session_labels,
)
from calibration_pipeline.policy.populations import (
    STANDARD,
    KnownPopulation,
    starting_population,
)
from calibration_pipeline.policy.rapid_guessing import rapid_guess_thresholds, rapid_guesses
from calibration_pipeline.records import BoolArray, DayArray, DayResponses, FloatArray, ItemBank


class NightAnswers:
    """The answers of all days that a night reads, and what was accepted before it.

    Parameters
    ----------
    days
        Archived days, in order.
    bank
        The pool.
    parameters
        ``(n_items, 3)`` last accepted; NaN for items without, whose answers tell no ability.
    populations
        Last accepted, by scale.
    configuration
        The settings.
    """

    def __init__(
        self,
        days: Sequence[DayResponses],
        bank: ItemBank,
        parameters: FloatArray,
        populations: Mapping[str, KnownPopulation],
        configuration: CalibrationConfiguration,
    ) -> None:
        self._days, self._bank, self._parameters = days, bank, parameters
        self._populations, self._configuration = populations, configuration
        everything = np.ones(bank.n_items, np.bool_)
        answers = gather(days, bank, everything, configuration.absent_outcomes)
        thresholds = rapid_guess_thresholds(answers, bank.n_items, configuration)
        is_short = answers.lengths < configuration.minimum_session_answers
        self._answers = answers
        self._is_evidence = (
            answers.is_scored
            & ~repeated_exposures(answers, bank.n_items)
            & ~rapid_guesses(answers, thresholds)
            & ~np.repeat(is_short, answers.lengths)
        )
        self._first_session = np.cumsum([0, *(len(day.session_offsets) - 1 for day in days)])
        self._first_answer = np.concatenate([[0], np.cumsum(answers.lengths)])

    def of_day(self, number: int, left_out_from: DayArray) -> LeakDay:
        """One day's answers, with abilities from each session's other answers.

        Parameters
        ----------
        number
            Of the day among those given.
        left_out_from
            ``(n_items,)`` onsets of leaks that are suspected already: from then on answers to such
            an item tell no ability.
        """
        day = np.datetime64(self._days[number].revision.day)
        sessions = slice(self._first_session[number], self._first_session[number + 1])
        first, last = self._first_answer[[sessions.start, sessions.stop]]
        chosen, all_answers = slice(first, last), self._answers
        item = all_answers.item[chosen]
        offsets = self._first_answer[sessions.start : sessions.stop + 1] - first
        is_suspected = (left_out_from <= day)[item]
        means, sds = np.zeros(len(item)), np.ones(len(item))
        for data, place, scale in self._scales(sessions, chosen, offsets, is_suspected):
            population = starting_population(
                scale, scale.group_names, data.cells, mean_is_estimated=False, sd_is_estimated=False
            )
            means[place], sds[place] = abilities_from_other_answers(
                data, self._parameters, population, self._configuration.em
            )
        seconds = np.full(len(item), np.nan)
        if all_answers.time_ms is not None:
            time_ms = all_answers.time_ms[chosen]
            seconds[time_ms >= 0] = time_ms[time_ms >= 0] / 1000.0
        return LeakDay(
            day=self._days[number].revision.day,
            session_offsets=offsets,
            item=item,
            correct=all_answers.correct[chosen],
            is_evidence=self._is_evidence[chosen],
            ability_mean=means,
            ability_sd=sds,
            seconds=seconds,
        )

    def _scales(
        self, sessions: slice, chosen: slice, offsets: np.ndarray, is_suspected: BoolArray
    ) -> Iterator[tuple[ResponseData, BoolArray, KnownPopulation]]:
        """Each scale's answers of a day's sessions, their places among the day's, its population.

        Items keep their numbers in the bank.
        """
        answers, bank = self._answers, self._bank
        item, correct = answers.item[chosen], answers.correct[chosen]
        session = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        for number, name in enumerate(bank.scale_names):
            place = bank.scale_index[item] == number
            lengths = np.bincount(session[place], minlength=len(offsets) - 1)
            known = self._populations.get(name, STANDARD)
            label, labels = session_labels(answers, known.common_start, self._configuration)
            group = assign_groups(label[sessions], labels, known.group_names)
            weights = np.where(is_suspected[place], 0.0, 1.0)
            data = ResponseData(
                session_offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
                item=item[place],
                correct=correct[place],
                n_items=bank.n_items,
                weights=None if (weights == 1.0).all() else weights,
                cells=population_cells(
                    group, known.group_names, answers.starting_ability[sessions]
                ),
            )
            yield data, place, known
