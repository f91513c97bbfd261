"""What a user would pick instead, each in a process and, where it has to be, its own environment.

A peer reads the same answers and gets the same priors, if it takes any. It leaves out standard
errors; its seconds are those of the fit alone, without imports and without reading the answers.
Its memory is that of its process.
"""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ROOT, run_limited
from benchmarks.scoring import Row, read_peer

SCRIPTS = Path(__file__).parent / "peer_scripts"
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
NOT_INSTALLED = 69
"""What the scripts end with when their package is missing."""
RSCRIPT = "Rscript"


@dataclass(frozen=True)
class Peer:
    """A program and how it is asked.

    Attributes
    ----------
    name
        As the table has it.
    script
        File in ``peer_scripts``.
    interpreter
        The program that runs it.
    mode
        The script's last argument, if it takes one.
    """

    name: str
    script: str
    interpreter: str
    mode: str = ""

    @property
    def is_r(self) -> bool:
        """Whether it exchanges CSV instead of NumPy's files."""
        return self.interpreter == RSCRIPT


def _python_mirt(how: str, mode: str) -> Peer:
    return Peer(f"Python mirt, {how}", "python_mirt.py", str(PEERS_PYTHON), mode)


def _r_mirt(how: str, mode: str) -> Peer:
    return Peer(f"R mirt, {how}", "r_mirt.R", RSCRIPT, mode)


DENSE = (
    _python_mirt("no priors", "plain"),
    _python_mirt("priors", "priors"),
    Peer("girth", "girth_3pl.py", str(PEERS_PYTHON)),
    Peer("py-irt", "py_irt_3pl.py", sys.executable),
    _r_mirt("priors", "priors"),
)
WITH_PRIORS = (_python_mirt("priors", "priors"), _r_mirt("priors", "priors"))
WITH_ANCHORS = (_python_mirt("fixed items", "anchors"), _r_mirt("fixed items", "anchors"))


def has_r() -> bool:
    """Whether there is an R to run; whether mirt is in it, its script finds out."""
    return shutil.which(RSCRIPT) is not None


def measure(peer: Peer, case_folder: Path, limit_seconds: float, say: Callable[[str], None]) -> Row:
    """Let a peer fit an exported case; whatever happens is a row of the table.

    `say` hears the last line of a program that failed.
    """
    row: Row = {"program": peer.name}
    if shutil.which(peer.interpreter) is None:
        return row | {"status": "not installed"}
    output = case_folder / f"{peer.script}-{peer.mode}{'.csv' if peer.is_r else '.npz'}"
    arguments = [str(SCRIPTS / peer.script), str(case_folder), str(output), peer.mode]
    run = run_limited([peer.interpreter, *filter(None, arguments)], limit_seconds)
    if run.returncode == NOT_INSTALLED:
        return row | {"status": "not installed"}
    row["peak_mib"] = run.peak_mib
    if run.was_stopped:
        return row | {"status": f"stopped after {limit_seconds:.0f} s"}
    if run.returncode != 0:
        say(run.last_line)
        return row | {"status": run.failure}
    try:
        return row | {"status": "ok"} | read_peer(output, case_folder / "truth.npz")
    except (OSError, ValueError) as error:
        say(str(error))
        return row | {"status": "failed: no estimate that can be used"}


def simulate_tests(items: int, folder: Path, limit_seconds: float) -> Row:
    """Let catsim give the tests of a pool that `benchmarks.adaptive_tests` has exported."""
    row: Row = {"program": "catsim", "items": items}
    output = folder / "catsim.json"
    command = [str(PEERS_PYTHON), str(SCRIPTS / "catsim_tests.py"), str(folder / f"{items}.npz")]
    if not PEERS_PYTHON.exists():
        return row | {"status": "not installed"}
    run = run_limited([*command, str(output)], limit_seconds)
    if run.was_stopped:
        return row | {"status": f"stopped after {limit_seconds:.0f} s"}
    if run.returncode != 0:
        missing = run.returncode == NOT_INSTALLED
        return row | {"status": "not installed" if missing else run.failure}
    found: Row = json.loads(output.read_text())
    return row | found | {"program": f"catsim {found['version']}"}
