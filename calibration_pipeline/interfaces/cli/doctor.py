"""``calibrate doctor``: whether this installation is fit for a first real run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.interfaces.cli.console import (
    json_option,
    print_json,
    print_table,
)
from calibration_pipeline.interfaces.cli.terminal_progress import terminal_progress
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.interfaces.cli.installation import Check
    from calibration_pipeline.policy.self_test import SelfTestResult

_COLUMNS = {"name": "Check", "result": "", "detail": "Found", "remedy": "What to do"}
_STEPS = 12
_NUMERICS_REMEDY = "install the pinned versions, clear the compilation cache and run this again"


class UnfitInstallationError(CalibrationError):
    """A check failed."""


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check this installation before a first real run; exit code 1 if a check fails.

    Compares what is installed with what the project is tested with, tries the machine, and twice
    fits simulated answers whose truth is known: with one thread and with all, to the same bytes.
    Writes, reads and deletes a little file where the archive is. Tries whether the source of
    answers can be reached, which of its tables or files would be read, and whether their columns
    fit; reads no answers (`calibrate readiness` does). Where a Dask scheduler is set, asks its
    workers what they have installed and whether they reach the archive. Takes seconds, or up to
    half a minute where nothing has been compiled yet.

    Example: calibrate doctor
    """
    checks = []
    with terminal_progress("Checking", _STEPS) as reporter:
        for check in _checks():
            reporter.describe(f"Checking: {check.name}")
            reporter.advance()
            checks.append(check)
    failed = [check.name for check in checks if not check.passed]
    rows = [{**asdict(check), "result": "pass" if check.passed else "FAIL"} for check in checks]
    if as_json:
        print_json({"passed": not failed, "checks": [asdict(check) for check in checks]})
    else:
        print_table(rows, _COLUMNS)
    if failed:
        raise UnfitInstallationError(
            f"{len(failed)} of {len(checks)} checks failed ({', '.join(failed)}): "
            "do what the table says and run this again"
        )


def _checks() -> "Iterator[Check]":
    from calibration_pipeline.interfaces.cli import installation, source_check

    settings = installation.check_settings()
    yield settings
    if settings.passed:
        found = load_settings()
        yield source_check.check_source(found)
        yield installation.check_archive(found)
        if found.dask_scheduler is not None:
            from calibration_pipeline.interfaces.cli.cluster_check import check_cluster

            yield check_cluster(found, found.dask_scheduler)
    yield installation.check_requirements()
    yield installation.check_pins()
    yield installation.check_linear_algebra()
    cache = installation.check_compilation_cache()
    yield cache
    if cache.passed:
        yield from _recoveries()
        yield installation.check_threads()


def _recoveries() -> "Iterator[Check]":
    """Fit each case with one thread and with all; say how near the truth, and whether alike."""
    import numba

    from calibration_pipeline.interfaces.cli.installation import Check
    from calibration_pipeline.policy.configuration import CalibrationConfiguration
    from calibration_pipeline.policy.self_test import run_self_test, self_test_cases

    all_threads, configuration = numba.get_num_threads(), CalibrationConfiguration()
    differing = []
    for make_case in self_test_cases():
        case = make_case()
        with _threads(1):
            one = run_self_test(case, configuration)
        many = run_self_test(case, configuration)
        if one.digest != many.digest:
            differing.append(case.name)
        yield _recovery(case.name, many)
    detail = f"1 thread and {all_threads} agree" if not differing else "; ".join(differing)
    remedy = _NUMERICS_REMEDY if differing else ""
    yield Check("Same bytes again", not differing, detail, remedy)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(count)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def _recovery(name: str, found: "SelfTestResult") -> "Check":
    from calibration_pipeline.interfaces.cli.installation import Check
    from calibration_pipeline.policy.self_test import LARGEST_ERROR, SMALLEST_CORRELATION

    detail = (
        f"difficulty: r {found.correlation:.3f} (at least {SMALLEST_CORRELATION}), mean absolute "
        f"error {found.mean_absolute_error:.3f} (below {LARGEST_ERROR})"
    )
    if not found.converged:
        detail += ", not converged"
    return Check(f"Recovers {name}", found.passed, detail, "" if found.passed else _NUMERICS_REMEDY)
