"""What the figures were measured on: hardware and versions, never names of hosts or folders."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

Machine = dict[str, str]


def describe() -> Machine:
    """Processor, cores, memory and the versions that matter."""
    return {
        "processor": _processor(),
        "cores": str(_usable_cores()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{package: version(package) for package in ("numpy", "numba", "scipy")},
    }


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return platform.processor() or platform.machine()
