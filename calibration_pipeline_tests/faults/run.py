"""Inject faults into nights, and report: ``python -m calibration_pipeline_tests.faults.run``.

Trial after trial strikes runs of a night and then runs it undisturbed, until as many faults as
were asked for have happened. Exit code 1 if anything was lost, doubled, torn or left behind.
"""

import argparse
import json
import multiprocessing
import os
import queue
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Set before NumPy and Numba are imported: the workers share few cores, and are forked.
for name in ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = "1"

from calibration_pipeline_tests.faults.harness import Harness, Result  # noqa: E402
from calibration_pipeline_tests.faults.programme import Workshop  # noqa: E402
from calibration_pipeline_tests.faults.summary import Summary  # noqa: E402
from calibration_pipeline_tests.faults.trials import full_deck, plan_trial  # noqa: E402

_DEFAULT_FAULTS = 1000
_LOOK_AFTER_SECONDS = 10


@dataclass(frozen=True)
class Share:
    """One worker's part: trials `first`, ``first + step``, … until enough faults have happened."""

    seed: int
    first: int
    step: int
    faults: int
    only: int | None


@contextmanager
def workshop() -> Iterator[Workshop]:
    """A workshop in a temporary folder, gone with its server afterwards."""
    with tempfile.TemporaryDirectory(prefix="calibration-faults-") as folder:
        # PostgreSQL's account must get through; everything in it is private.
        Path(folder).chmod(0o711)
        made = Workshop(Path(folder))
        try:
            yield made
        finally:
            made.close()


def work(share: Share, struck: Any, results: Any) -> None:
    """Conduct a worker's trials; put each result, and None at the end, into `results`."""
    try:
        with workshop() as made:
            harness = Harness(made)
            visits = {name: found.visits for name, found in harness.undisturbed.items()}
            results.put(visits)
            deck = full_deck(share.seed, visits)
            number = share.first if share.only is None else share.only
            while struck.value < share.faults:
                result = harness.conduct(plan_trial(number, share.seed, deck, visits))
                with struck.get_lock():
                    struck.value += len(result.struck)
                results.put(result)
                number += share.step
                if share.only is not None:
                    break
    except BaseException:
        results.put(traceback.format_exc())
    finally:
        results.put(None)


def run(faults: int, seed: int, workers: int, only: int | None, *, verbose: bool) -> Summary:
    """Conduct trials until `faults` have happened; with `only`, that one trial."""
    context = multiprocessing.get_context("spawn")
    struck, results = context.Value("i", 0), context.Queue()
    shares = [Share(seed, n, workers, faults, only) for n in range(workers if only is None else 1)]
    processes = [context.Process(target=work, args=(share, struck, results)) for share in shares]
    for process in processes:
        process.start()
    summary, started = Summary(seed), time.monotonic()
    for found in _until_all_end(processes, results):
        if isinstance(found, Result):
            summary.add(found)
            if verbose or found.violations:
                print(summary.line(found), flush=True)  # noqa: T201
        elif isinstance(found, str):
            summary.failures.append(found)
        else:
            summary.visits = found
    for process in processes:
        process.join()
    summary.seconds = time.monotonic() - started
    return summary


def _until_all_end(processes: Sequence[Any], results: Any) -> Iterator[Any]:
    """Yield what workers put into the queue; one that dies without its last word is a failure."""
    at_work = len(processes)
    while at_work:
        try:
            found = results.get(timeout=_LOOK_AFTER_SECONDS)
        except queue.Empty:
            if any(process.is_alive() for process in processes):
                continue
            yield f"workers died: {[process.exitcode for process in processes]}"
            return
        if found is None:
            at_work -= 1
        else:
            yield found


def main() -> int:
    """Read the command line, run, report."""
    parser = argparse.ArgumentParser(prog="python -m calibration_pipeline_tests.faults.run")
    parser.add_argument("--faults", type=int, default=_DEFAULT_FAULTS, help="how many, at least")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the faults")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--trial", type=int, help="repeat this trial of the seed alone")
    parser.add_argument("--json", type=Path, help="write the summary here, too")
    parser.add_argument("--verbose", action="store_true", help="a line for every trial")
    chosen = parser.parse_args()
    summary = run(chosen.faults, chosen.seed, chosen.workers, chosen.trial, verbose=chosen.verbose)
    print(summary.text())  # noqa: T201
    if chosen.json:
        chosen.json.write_text(json.dumps(summary.as_json(), indent=2))
    return 0 if summary.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
