"""Telling every sink, come what may: an alert that can't be sent fails nothing else."""

import time
from collections.abc import Callable, Collection, Sequence

from calibration_pipeline.alerts.alert import Alert
from calibration_pipeline.alerts.sinks import LOG, Sink

REST_SECONDS = 60.0
"""How long a sink that failed is left alone: several alerts in a row must not wait for it each."""


class Alerts:
    """The sinks that the settings name.

    Parameters
    ----------
    sinks
        None of them: nobody is told.
    clock
        Seconds, monotonic.
    """

    def __init__(self, sinks: Sequence[Sink], clock: Callable[[], float] = time.monotonic) -> None:
        self.sinks = tuple(sinks)
        self._clock = clock
        self._resting: dict[str, float] = {}

    def tell(self, alert: Alert, *, told: Collection[str] = ()) -> dict[str, str]:
        """Tell every sink that wasn't told before; never raises.

        Parameters
        ----------
        told
            Names of sinks that know already.

        Returns
        -------
        dict
            Sink → why it couldn't be told, an empty text where it was.
        """
        outcome = {sink.name: self._told(sink, alert) for sink in self.sinks
                   if sink.name not in told}  # fmt: skip
        for name, why in outcome.items():
            if why:
                # The line itself goes to the log then: somebody may read that.
                LOG.warning("an alert was not delivered (%s: %s): %s", name, why, alert.line)
        return outcome

    def _told(self, sink: Sink, alert: Alert) -> str:
        now = self._clock()
        if now < self._resting.get(sink.name, now):
            return "it failed a moment ago, and is left alone for a minute"
        try:
            why = sink(alert)
        except Exception as error:
            # Whatever goes wrong in a sink, its text may quote an address or a password.
            why = type(error).__name__
        if why:
            self._resting[sink.name] = self._clock() + REST_SECONDS
        return why
