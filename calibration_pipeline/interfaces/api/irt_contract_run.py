"""A night, run for a caller of `/api/irt/calibrate`: a run of Dagster's in a process of its own.

It is the run that the schedule and `calibrate night` start: the same lock, log, audit and UI. The
service is not slowed by it, and it goes on if its caller hangs up.
"""

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from calibration_pipeline.errors import CalibrationError, LockHeldError
from calibration_pipeline.policy.catching_up import Nights, missing_nights, nights_of_one_run
from calibration_pipeline.settings import Settings
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.history import newest_finished_night
from calibration_pipeline.store.lock import current_holder

_PATIENCE_SECONDS: Final = 20.0
"""For a run to write down that it was stopped."""


class CalibrationCrashedError(Exception):
    """The run ended by an error that nobody foresaw; Dagster's UI has its traceback."""


def _today(timezone: ZoneInfo) -> date:
    return datetime.now(timezone).date()


@dataclass
class NightRuns:
    """Runs nights one at a time; a second caller is refused at once.

    Attributes
    ----------
    folder
        With the project's ``dagster.yaml``.
    today
        Gives the local day, which isn't over.
    """

    folder: Path = field(default_factory=Path.cwd)
    today: Callable[[ZoneInfo], date] = _today
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _process: SpawnProcess | None = None

    def run(self, settings: Settings, database: Database, triggered_by: str) -> str:
        """Run the nights that are missing, or the newest one again; wait, and give Dagster's id.

        A night that is run again takes the answers that have come since it was run.

        Raises
        ------
        LockHeldError
            Another calibration is running, here or elsewhere.
        CalibrationError
            What stopped the run that a person can mend.
        CalibrationCrashedError
            Anything else that stopped it.
        """
        if not self._turn.acquire(blocking=False):
            raise LockHeldError("another calibration is running: wait for it to end")
        try:
            holder = current_holder(database)
            if holder is not None:
                raise LockHeldError(
                    f"another calibration is running, since {holder.since:%Y-%m-%d %H:%M:%S %Z}: "
                    "wait for it to end"
                )
            nights, refresh = self._nights_due(settings, database)
            return self._wait_for(settings, nights, triggered_by, refresh=refresh)
        finally:
            self._turn.release()

    def close(self) -> None:
        """Stop a run that is under way, as Ctrl-C does: it says so in the log."""
        process = self._process
        if process is not None and process.is_alive() and process.pid is not None:
            process.terminate()
            process.join(_PATIENCE_SECONDS)

    def _nights_due(self, settings: Settings, database: Database) -> tuple[Nights, bool]:
        yesterday = self.today(ZoneInfo(settings.timezone)) - timedelta(days=1)
        missing = missing_nights(newest_finished_night(database), yesterday, settings.first_day)
        if missing is None:
            return (yesterday, yesterday), True
        return nights_of_one_run(missing), False

    def _wait_for(
        self, settings: Settings, nights: Nights, triggered_by: str, *, refresh: bool
    ) -> str:
        context = get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        arguments = (sender, settings, self.folder, nights, triggered_by, refresh)
        self._process = context.Process(target=_run_nights, args=arguments)
        self._process.start()
        sender.close()  # so that the end of the process is the end of the pipe
        try:
            found: str | Exception = receiver.recv()
        except EOFError:
            found = CalibrationCrashedError("its process has died")
        finally:
            receiver.close()
            self._process.join()
            self._process = None
        if isinstance(found, Exception):
            raise found
        return found


def _run_nights(
    sender: Connection,
    settings: Settings,
    folder: Path,
    nights: Nights,
    triggered_by: str,
    refresh: bool,
) -> None:
    """Run nights in this process; send Dagster's run id, or what went wrong."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Here, and not above: the service has no use for Dagster.
    from calibration_pipeline.definitions import build_definitions, heartbeat_of
    from calibration_pipeline.orchestration.failures import in_one_line
    from calibration_pipeline.orchestration.instance import open_instance
    from calibration_pipeline.orchestration.launch import run_nights

    try:
        with open_instance(folder) as instance:
            found = run_nights(
                build_definitions(settings),
                instance,
                *nights,
                triggered_by=triggered_by,
                refresh=refresh,
                heartbeat=heartbeat_of(settings),
            )
        sender.send(found)
    except CalibrationError as error:
        sender.send(error)
    except KeyboardInterrupt:
        sender.send(CalibrationCrashedError("it was stopped"))
    except Exception as error:
        sender.send(CalibrationCrashedError(in_one_line(error)))
