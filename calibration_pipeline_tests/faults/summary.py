"""What a run of the suite has to say at its end."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from calibration_pipeline_tests.faults.faults import ACTIONS
from calibration_pipeline_tests.faults.harness import Result
from calibration_pipeline_tests.faults.points import STEP_OF


@dataclass
class Summary:
    """All trials together.

    Attributes
    ----------
    visits
        How often an undisturbed run of each scenario comes to each moment.
    struck
        Faults by point, moment and kind.
    endings
        How the runs that were struck ended.
    failures
        Why a worker could not go on.
    """

    seed: int
    visits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    struck: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    trials: int = 0
    runs: int = 0
    reads: int = 0
    refused: int = 0
    violations: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def faults(self) -> int:
        """How many faults have happened."""
        return self.struck.total()

    @property
    def is_clean(self) -> bool:
        """Whether everything was as it must be."""
        return not self.violations and not self.failures

    def add(self, result: Result) -> None:
        """Take in a trial."""
        self.trials += 1
        self.runs += result.runs
        self.reads += result.tally.reads
        self.refused += result.tally.refused
        self.struck.update((fault.point, fault.when, fault.kind) for fault, _ in result.struck)
        self.endings.update(f"{fault.kind}: {ended}" for fault, ended in result.struck)
        self.violations += [f"{result.trial}\n    {said}" for said in result.violations]

    def line(self, result: Result) -> str:
        """Say what came of a trial; of one that failed, how to repeat it."""
        ended = ", ".join(f"{fault}: {how}" for fault, how in result.struck)
        line = (
            f"{self.faults:5} faults, {result.seconds:.1f} s, trial {result.trial.number}: {ended}"
        )
        if not result.violations:
            return line
        said = "\n  ".join(result.violations)
        command = f"--seed {self.seed} --trial {result.trial.number} --verbose"
        return (
            f"VIOLATION in {result.trial}\n  {said}\n"
            f"  repeat it: python -m calibration_pipeline_tests.faults.run {command}"
        )

    def text(self) -> str:
        """Tell the whole run: faults by point and kind, how runs ended, what was wrong."""
        return "\n".join([*self._table(), "", *self._endings(), "", *self._totals()])

    def _table(self) -> list[str]:
        kinds = [kind for kind in ACTIONS if any(k == kind for _, _, k in self.struck)]
        said = [f"  {number}  {kind}" for number, kind in enumerate(kinds, 1)]
        head = "".join(f"{number:>6}" for number in range(1, len(kinds) + 1))
        said += ["", f"{'step':15}{'point':26}{head}   all"]
        points = [point for point in STEP_OF if any(p == point for p, _, _ in self.struck)]
        for point in points:
            counts = [self._count(point, kind) for kind in kinds]
            cells = "".join(f"{count or '.':>6}" for count in counts)
            said.append(f"{STEP_OF[point]:15}{point:26}{cells}{sum(counts):6}")
        return said

    def _count(self, point: str, kind: str) -> int:
        return sum(n for (p, _, k), n in self.struck.items() if (p, k) == (point, kind))

    def _endings(self) -> list[str]:
        return [f"{number:6}  {ending}" for ending, number in sorted(self.endings.items())]

    def _totals(self) -> list[str]:
        return [
            *self.failures,
            f"{self.faults} faults in {self.trials} trials, {self.runs} runs of a night, "
            f"{self.seconds / 60:.1f} minutes; seed {self.seed}",
            f"{self.reads} whole versions read meanwhile; {self.refused} reads found no server",
            f"{len(self.violations)} violations",
            *self.violations,
        ]

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "faults": self.faults,
            "trials": self.trials,
            "runs": self.runs,
            "reads": self.reads,
            "kinds": sorted({kind for _, _, kind in self.struck}),
            "steps": sorted({STEP_OF[point] for point, _, _ in self.struck}),
            "visits": self.visits,
            "violations": self.violations + self.failures,
            "seconds": self.seconds,
        }
