"""What the leak watch hands from night to night, and what it says of items."""

from dataclasses import dataclass

from calibration_pipeline.records.arrays import BoolArray, DayArray, FloatArray, IntArray, ItemKey


@dataclass(frozen=True)
class LeakWatch:
    """Running values of the leak watch after a night's day: all that the next night needs of it.

    An item has one detector for each share of candidates that is watched for. At zero a detector
    has no onset, no answers and no knowledge, and its weights are 0.

    Attributes
    ----------
    keys
        The items, in the bank's order at that night.
    alarm_day
        ``(n_items,)`` datetime64[D] day of the alarm; NaT for none.
    alarm_share
        ``(n_items,)`` number of the share that raised it; −1 for none.
    left_out_from
        ``(n_items,)`` datetime64[D] first day whose answers inform neither parameters nor
        abilities: the estimated onset of a leak that is suspected. NaT: none is left out.
    times
        ``(n_items, 4)`` decayed sums over the items' paces: number, total, squares, variances of
        the speeds.
    traffic
        ``(n_items, 6)`` decayed sums: days, answers, mean abilities, their squares, variances of
        the abilities, variances of the speeds.
    log_ratio
        ``(n_items, n_shares)`` log Λ; 0 at zero.
    onset
        ``(n_items, n_shares)`` datetime64[D] day of the first answer after the last zero.
    answers
        ``(n_items, n_shares)`` answers since then.
    parameters, covariance
        ``(n_items, n_shares, 3)`` and ``(n_items, n_shares, 3, 3)`` of φ, as at the last zero.
    time_mean, time_mean_se, time_variance
        ``(n_items, n_shares)`` of log seconds, as at the last zero; NaN where too few were known.
    null_weights, leak_weights
        ``(n_items, n_shares, n_nodes)`` what has been learned of the item since, without a leak and
        with one.
    settings_digest
        SHA-256 of the settings of detection; under others detectors begin anew.
    false_alarm_constants
        ``(2, n_shares)`` constants of the thresholds, for items without times and with; NaN where
        not needed so far.
    """

    keys: tuple[ItemKey, ...]
    alarm_day: DayArray
    alarm_share: IntArray
    left_out_from: DayArray
    times: FloatArray
    traffic: FloatArray
    log_ratio: FloatArray
    onset: DayArray
    answers: IntArray
    parameters: FloatArray
    covariance: FloatArray
    time_mean: FloatArray
    time_mean_se: FloatArray
    time_variance: FloatArray
    null_weights: FloatArray
    leak_weights: FloatArray
    settings_digest: str
    false_alarm_constants: FloatArray


@dataclass(frozen=True)
class LeakVerdicts:
    """A night's verdict on every item, ``(n_items,)`` each.

    Attributes
    ----------
    is_suspected
        The item, or one of its family, has an alarm.
    alarm_item
        Number of the item whose alarm it is: itself, or one of its family; −1 for none.
    alarm_day, onset_day
        Days of that alarm, and of the estimated onset: the CUSUM stood at zero before. Without an
        alarm the onset is that of the present rise. NaT where there is none.
    statistic, threshold, share
        log Λ of the share that is nearest to its threshold, the threshold, and the share.
    answers_since_onset
        Answers in the statistic.
    answers_per_day
        Current traffic.
    is_watched
        Whether enough is known of the item to hold answers against it.
    uses_times
        Whether times count.
    delay_answers, delay_days
        Expected between a leak to the planned share of candidates and its alarm. Infinite: not
        within the longest delay at this traffic.
    """

    is_suspected: BoolArray
    alarm_item: IntArray
    alarm_day: DayArray
    onset_day: DayArray
    statistic: FloatArray
    threshold: FloatArray
    share: FloatArray
    answers_since_onset: IntArray
    answers_per_day: FloatArray
    is_watched: BoolArray
    uses_times: BoolArray
    delay_answers: FloatArray
    delay_days: FloatArray
