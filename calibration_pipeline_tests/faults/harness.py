"""Conduct a trial: strike runs of a night, run it undisturbed, and judge what is there then."""

import signal
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from calibration_pipeline_tests.database import connect
from calibration_pipeline_tests.faults.checks import Facts, differences, facts_of, violations_of
from calibration_pipeline_tests.faults.children import Child, Report
from calibration_pipeline_tests.faults.faults import (
    ACTIONS,
    APPLICATION,
    CUT_WHILE_ASLEEP,
    RESTARTED,
    SUCCEEDED,
    Fault,
    Scene,
)
from calibration_pipeline_tests.faults.points import attach
from calibration_pipeline_tests.faults.programme import SCENARIOS, Copy, Workshop, nights_of
from calibration_pipeline_tests.faults.reader import Tally, poll
from calibration_pipeline_tests.faults.trials import Trial, moment

_LONGEST_RUN_SECONDS = 300
_LONGEST_RELEASE_SECONDS = 15
COMPLETED = "completed"
KILLED = "killed"


@dataclass
class Result:
    """What came of a trial.

    Attributes
    ----------
    struck
        The faults that happened, and how their runs ended; a run may end before its fault's moment.
    runs
        Runs of a night, the undisturbed ones included.
    tally
        What the reader saw.
    violations
        What should never be; one sentence each.
    """

    trial: Trial
    struck: list[tuple[Fault, str]] = field(default_factory=list)
    runs: int = 0
    tally: Tally = field(default_factory=Tally)
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Undisturbed:
    """A scenario without faults: what it ends in, and how often it comes to each moment."""

    facts: Facts
    visits: Mapping[str, int]


class Tripwire:
    """Counts the visits to every moment, and does what a fault does when its own has come."""

    def __init__(self, fault: Fault | None, scene: Scene, report: Report) -> None:
        self.visits: Counter[str] = Counter()
        self._fault = fault
        self._scene = scene
        self._report = report

    def visit(self, point: str, when: str) -> None:
        """Count a visit, and strike if it is the one."""
        self.visits[moment(point, when)] += 1
        fault = self._fault
        if fault is None or (point, when) != (fault.point, fault.when):
            return
        if self.visits[moment(point, when)] == fault.occurrence:
            self._report(struck=True)
            ACTIONS[fault.kind](self._scene)


class Harness:
    """Conducts trials in one workshop, against the undisturbed scenarios."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self.undisturbed = {name: self._undisturbed(name) for name in SCENARIOS}

    def _undisturbed(self, scenario: str) -> Undisturbed:
        copy = self._workshop.copy()
        run = self._run(copy, scenario)
        if problems := [*_problems_of_clean(run), *violations_of(copy)]:
            raise RuntimeError(f"{scenario} fails without any fault: {'; '.join(problems)}")
        facts = facts_of(copy)
        self._workshop.discard(copy)
        return Undisturbed(facts, run.facts["visits"])

    def conduct(self, trial: Trial) -> Result:
        """Strike the runs of a trial, run its nights undisturbed, and judge what there is."""
        started = time.monotonic()
        result = Result(trial)
        copy = self._workshop.copy()
        reader = Child(partial(poll, copy.url))
        reader.wait_for("ready", _LONGEST_RUN_SECONDS)
        for fault in trial.faults:
            self._strike(copy, fault, result)
        result.violations += _problems_of_clean(self._run(copy, trial.scenario))
        result.runs += 1
        _dismiss(reader, result)
        expected = self.undisturbed[trial.scenario].facts
        result.violations += violations_of(copy) + differences(expected, facts_of(copy))
        self._workshop.discard(copy)
        result.seconds = time.monotonic() - started
        return result

    def _strike(self, copy: Copy, fault: Fault, result: Result) -> None:
        scenario = result.trial.scenario
        run = self._start(copy, scenario, fault)
        if fault.kind in CUT_WHILE_ASLEEP and run.wait_until_asleep(_LONGEST_RUN_SECONDS):
            self._let_another_succeed(copy, fault, result)
            run.signal(signal.SIGCONT)
        if not run.wait(_LONGEST_RUN_SECONDS):
            result.violations.append(f"the run hung: {fault}")
        result.runs += 1
        ended = KILLED if run.was_killed else run.facts.get("ended", "crashed")
        if "crashed" in run.facts:
            result.violations.append(f"{fault}: {run.facts['crashed']}")
        if "struck" in run.facts:
            result.struck.append((fault, ended))
            if fault.kind in CUT_WHILE_ASLEEP:
                result.violations += _problems_of_sleeper(fault, run, ended)
        self._workshop.server.start()
        if not self._is_released(copy):
            result.violations.append(f"the connections of a dead run stayed: {fault}")

    def _let_another_succeed(self, copy: Copy, fault: Fault, result: Result) -> None:
        """Cut a sleeping run's lock, and let another one run the same nights to their end."""
        CUT_WHILE_ASLEEP[fault.kind](self._scene(copy))
        successor = self._run(copy, result.trial.scenario)
        result.violations += [f"successor: {said}" for said in _problems_of_clean(successor)]
        result.runs += 1

    def _run(self, copy: Copy, scenario: str) -> Child:
        run = self._start(copy, scenario, None)
        run.wait(_LONGEST_RUN_SECONDS)
        return run

    def _start(self, copy: Copy, scenario: str, fault: Fault | None) -> Child:
        return Child(partial(_run_nights, copy, scenario, fault, self._scene(copy)))

    def _scene(self, copy: Copy) -> Scene:
        return Scene(self._workshop.server, copy.url, copy.archive)

    def _is_released(self, copy: Copy) -> bool:
        """Wait until PostgreSQL has noticed the end of a run's process."""
        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = %s"
        )
        deadline = time.monotonic() + _LONGEST_RELEASE_SECONDS
        with connect(copy.url) as connection:
            while time.monotonic() < deadline:
                found = connection.execute(query, (APPLICATION,)).fetchone()
                if found == (0,):
                    return True
                time.sleep(0.01)
        return False


def _run_nights(
    copy: Copy, scenario: str, fault: Fault | None, scene: Scene, report: Report
) -> None:
    """Run a scenario's nights, in a process of its own."""
    tripwire = Tripwire(fault, scene, report)
    attach(tripwire.visit)
    programme = copy.open()
    try:
        programme.run(*nights_of(scenario), triggered_by="the fault suite")
    except (Exception, KeyboardInterrupt) as error:
        report(ended=type(error).__name__, message=str(error))
    else:
        report(ended=COMPLETED)
    report(visits=tripwire.visits)


def _problems_of_clean(run: Child) -> list[str]:
    if run.facts.get("ended") == COMPLETED:
        return []
    said = run.facts.get("message") or run.facts.get("crashed") or "it gave no reason"
    return [f"the undisturbed run did not complete: {run.facts.get('ended')}: {said}"]


def _problems_of_sleeper(fault: Fault, run: Child, ended: str) -> list[str]:
    """Whoever lost the lock in its sleep must be told so, not go on as if nothing had been."""
    told = ended == "LockLostError" if fault.kind == SUCCEEDED else ended != COMPLETED
    return [] if told else [f"{fault}: it ended as {ended}: {run.facts.get('message', '')}"]


def _dismiss(reader: Child, result: Result) -> None:
    reader.signal(signal.SIGTERM)
    if not reader.wait(_LONGEST_RUN_SECONDS) or "reads" not in reader.facts:
        result.violations.append(f"the reader failed: {reader.facts.get('crashed', 'it hung')}")
        return
    reader.facts.pop("ready")
    tally = Tally(**reader.facts)
    result.tally = tally
    result.violations += [f"a reader saw this: {wrong}" for wrong in tally.wrong]
    if not tally.reads:
        result.violations.append("the reader read nothing")
    if tally.refused and not any(fault.kind == RESTARTED for fault, _ in result.struck):
        result.violations.append(f"a reader was refused {tally.refused} times without a restart")
