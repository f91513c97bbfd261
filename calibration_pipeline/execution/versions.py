"""What has to be the same on all machines for the same bytes to come out."""

import platform
from collections.abc import Mapping
from importlib.metadata import version

PACKAGES = ("calibration-pipeline", "numpy", "numba", "llvmlite", "dask", "distributed")
"""Those that compute on workers, and those that both sides talk through."""


def installed_versions() -> dict[str, str]:
    """Versions of Python and the packages here."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """Say which versions differ; an empty string if none does."""
    return ", ".join(
        f"{name} {there.get(name, 'none')} instead of {found}"
        for name, found in here.items()
        if there.get(name) != found
    )


def processor() -> str:
    """Name of this machine's kind of processor, as the compiler knows it."""
    from llvmlite import binding

    return str(binding.get_host_cpu_name())
