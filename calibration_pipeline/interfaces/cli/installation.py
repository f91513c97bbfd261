"""Checks of what is installed and of the machine it runs on, for ``calibrate doctor``."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import numpy as np
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import calibration_pipeline
from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.settings import Settings, load_settings
from calibration_pipeline.store.archive_opening import open_archive

PROJECT = "calibration-pipeline"
CONSTRAINTS = Path(calibration_pipeline.__file__).parents[1] / "constraints.txt"
"""The exact versions that the project is tested with; an installed wheel hasn't got the file."""
NAMED = 5


@dataclass(frozen=True)
class Check:
    """One check: what was found, and what to do where it failed."""

    name: str
    passed: bool
    detail: str
    remedy: str = ""


def check_settings() -> Check:
    """Read the environment's settings."""
    try:
        settings = load_settings()
    except CalibrationError as error:
        return Check("Settings", False, str(error), "correct the variable")
    return Check("Settings", True, f"home {settings.home}, time zone {settings.timezone}")


def check_archive(settings: Settings) -> Check:
    """Write, read and delete a little file in the archive, whose folder isn't made for it."""
    place = settings.archive_place
    try:
        open_archive(place).location.try_out()
    except CalibrationError as error:
        return Check("Archive", False, str(error), "make it one that this user may write and read")
    return Check("Archive", True, f"{place} can be written, read and cleared")


def check_requirements() -> Check:
    """Compare what is installed with the ranges that the project declares."""
    needed = declared_requirements(PROJECT, frozenset())
    wrong = []
    for requirement in needed:
        found = installed_version(requirement.name)
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement} (installed: {found or 'none'})")
    if wrong:
        return Check("Required packages", False, _named(wrong), f"pip install --upgrade {PROJECT}")
    return Check("Required packages", True, f"all {len(needed)} in their ranges")


def check_pins(constraints: Path = CONSTRAINTS) -> Check:
    """Compare what the program needs, and what that needs, with the versions it is tested with.

    Other packages of the file, such as linters, change no result: they are only mentioned.

    Parameters
    ----------
    constraints
        The file of pins; where it is absent, the declared ranges are all there is.
    """
    name = "Pinned versions"
    if not constraints.is_file():
        return Check(name, True, "no constraints.txt beside the package: ranges alone were checked")
    needed = needed_packages()
    different = {
        package: f"{package} {found} (pinned: {pin})"
        for package, pin in read_pins(constraints).items()
        # A local tag names a build, not a version.
        if (found := installed_version(package)) and found.partition("+")[0] != pin
    }
    differing = [text for package, text in different.items() if package in needed]
    if differing:
        remedy = f"pip install --constraint {constraints} --editable {constraints.parent}"
        return Check(name, False, _named(differing), remedy)
    detail = f"all that is needed to run is as in {constraints.name}"
    if different:
        detail += f"; of the rest, {_named(list(different.values()))}"
    return Check(name, True, detail)


def needed_packages() -> frozenset[str]:
    """Names of everything that is installed because the project needs it to run."""
    seen: set[str] = set()
    to_visit = [(PROJECT, frozenset[str]())]
    while to_visit:
        package, extras = to_visit.pop()
        seen.add(package)
        for requirement in declared_requirements(package, extras):
            name = canonicalize_name(requirement.name)
            if name not in seen and installed_version(name) is not None:
                to_visit.append((name, frozenset(requirement.extras)))
    return frozenset(seen)


def declared_requirements(package: str, extras: frozenset[str]) -> list[Requirement]:
    """What a package and some of its extras require on this machine."""
    declared = [Requirement(text) for text in requires(package) or []]
    return [
        requirement
        for requirement in declared
        if requirement.marker is None
        or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]


def read_pins(constraints: Path) -> Mapping[str, str]:
    """Read lines such as ``numpy==2.4.6``."""
    lines = [line.strip() for line in constraints.read_text().splitlines()]
    pairs = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {canonicalize_name(package): pin for package, pin in pairs}


def installed_version(package: str) -> str | None:
    """Version of a package; None where it isn't installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _named(entries: list[str]) -> str:
    more = f" and {len(entries) - NAMED} more" if len(entries) > NAMED else ""
    return ", ".join(entries[:NAMED]) + more


def check_compilation_cache() -> Check:
    """See whether compiled loops can be kept: otherwise every command compiles them again."""
    name, remedy = "Compilation cache", "set NUMBA_CACHE_DIR to a folder that you can write to"
    try:
        from calibration_pipeline.irt import kernels
    except RuntimeError as error:  # Numba found no place at all
        return Check(name, False, " ".join(str(error).split()), remedy)
    folder = Path(str(kernels.count_wave.stats.cache_path))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check(name, False, f"{folder} can't be written ({error.strerror})", remedy)
    return Check(name, True, str(folder))


def check_threads() -> Check:
    """Compare Numba's threads with this machine; only after something has run in parallel."""
    import numba

    cores, threads = usable_cores(), numba.get_num_threads()
    layer = numba.threading_layer()  # type: ignore[attr-defined]
    detail = f"{threads} threads on {cores} cores, layer {layer}"
    if threads > cores:
        remedy = f"unset NUMBA_NUM_THREADS, or set it to {cores}: more threads only wait"
        return Check("Threads", False, detail, remedy)
    return Check("Threads", True, detail)


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_linear_algebra() -> Check:
    """Let NumPy invert a matrix whose inverse is known."""
    library = "BLAS"
    config = np.show_config(mode="dicts")
    if isinstance(config, dict):
        library = config.get("Build Dependencies", {}).get("blas", {}).get("name", library)
    size = 200
    matrix = np.eye(size) + np.ones((size, size)) / size
    error = float(np.abs(matrix @ np.linalg.inv(matrix) - np.eye(size)).max())
    detail = f"{library}, largest error {error:.1g}"
    if error < 1e-9:
        return Check("Linear algebra", True, detail)
    return Check(
        "Linear algebra", False, detail, "reinstall NumPy: pip install --force-reinstall numpy"
    )
