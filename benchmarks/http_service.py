"""Reads over HTTP: `calibrate api` in one process, asked by wrk on the same machine.

The service is started as an operator starts it, over a version of 2,400 items in the embedded
PostgreSQL. wrk asks for items at random by the alias `current`, with 16 connections kept open, its
token checked and each request logged. Whole versions are asked for one after another.
"""

import http.client
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.processes import ROOT

ITEMS, SESSIONS = 2400, 2000
CONNECTIONS, SECONDS, ROUNDS, SNAPSHOTS = 16, 10, 3, 50
_START_SECONDS = 120.0
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1000.0}
FORMS = {
    "JSON": ({}, ""),
    "JSON, gzipped": ({"Accept-Encoding": "gzip"}, ""),
    "Parquet": ({}, "?format=parquet"),
}
# Items in a fixed order that jumps about the pool.
_ASK = """
local token, n = os.getenv("TOKEN"), 0
wrk.headers["Authorization"] = "Bearer " .. token
request = function()
  n = (n * 31 + 337) % {items}
  return wrk.format("GET", string.format("/v1/versions/current/items/item-%04d", n))
end
"""


def measure(folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Publish a version, serve it, and ask; `load` is what else the machine did before."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CALIBRATION_")}
    environment["CALIBRATION_HOME"] = str(folder / "home")
    calibrate = _Calibrate(environment)
    try:
        calibrate.run("demo", "--nights", "1", "--items", ITEMS, "--sessions-per-day", SESSIONS)
        token = calibrate.run("tokens", "issue", "--name", "benchmark").strip()
        load = os.getloadavg()[0]
        with calibrate.serving() as (process, port):
            section: dict[str, Any] = {"load": load}
            section["snapshots"] = [_snapshots(port, token, form) for form in FORMS]
            section["rows"] = [_items(process, port, token, folder) for _ in range(ROUNDS)]
    finally:
        calibrate.run("db", "stop")
    for row in section["rows"]:
        say(f"  {row['rate']:,.0f} items/s, p99 {row['p99']:.1f} ms")
    return section


class _Calibrate:
    """The command line, on a home of the benchmark's own."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._command = [sys.executable, "-m", "calibration_pipeline.interfaces.cli"]

    def run(self, *arguments: object) -> str:
        """Run a command; give what it printed."""
        command = [*self._command, *map(str, arguments)]
        done = subprocess.run(
            command, env=self._environment, cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"calibrate {arguments[0]} failed: {done.stderr[-300:]}")
        return done.stdout

    @contextmanager
    def serving(self) -> Iterator[tuple[psutil.Process, int]]:
        """Serve on a free port, with the log in a file as an operator would have it."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        with Path(self._environment["CALIBRATION_HOME"], "api.log").open("wb") as log:
            process = subprocess.Popen(
                [*self._command, "api", "--port", str(port)],
                env=self._environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        try:
            _wait_for(port, process)
            yield psutil.Process(process.pid), port
        finally:
            process.terminate()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            _get(http.client.HTTPConnection("127.0.0.1", port), "/v1/ready", {})
        except (OSError, RuntimeError):  # not there yet, or not ready
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the service didn't start") from None
            time.sleep(0.2)
        else:
            return


def _get(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> bytes:
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise RuntimeError(f"{path} gave {response.status}: {body[:200]!r}")
    return body


def _snapshots(port: int, token: str, form: str) -> dict[str, Any]:
    """Milliseconds of a whole version, asked for again and again on one connection."""
    headers, query = FORMS[form]
    connection = http.client.HTTPConnection("127.0.0.1", port)
    taken, size = [], 0
    for _ in range(SNAPSHOTS):
        started = time.perf_counter()
        body = _get(
            connection,
            f"/v1/versions/current/snapshot{query}",
            {"Authorization": f"Bearer {token}", **headers},
        )
        taken.append((time.perf_counter() - started) * 1000)
        size = len(body)
    return {
        "form": form,
        "bytes": size,
        "median_ms": statistics.median(taken),
        "worst_ms": max(taken),
    }


def _items(process: psutil.Process, port: int, token: str, folder: Path) -> dict[str, float]:
    """Let wrk ask for items; the service's processor time per request does not depend on load."""
    script = folder / "ask.lua"
    script.write_text(_ASK.format(items=ITEMS))
    wrk = shutil.which("wrk")
    if wrk is None:
        raise RuntimeError("wrk is missing: install it (the package `wrk` of Debian and others)")
    before = sum(process.cpu_times()[:2])
    run = subprocess.run(
        [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "-s", str(script),
         f"http://127.0.0.1:{port}"],
        env=os.environ | {"TOKEN": token}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    spent = sum(process.cpu_times()[:2]) - before
    if "Non-2xx" in run.stdout or "Socket errors" in run.stdout:
        raise RuntimeError(f"requests failed: {run.stdout}")
    requests = int(_found(r"(\d+) requests in", run.stdout)[1])
    return {
        "rate": float(_found(r"Requests/sec:\s+([\d.]+)", run.stdout)[1]),
        "p50": _milliseconds("50%", run.stdout),
        "p99": _milliseconds("99%", run.stdout),
        "cpu_us": spent / requests * 1e6,
    }


def _milliseconds(share: str, text: str) -> float:
    found = _found(rf"{share}\s+([\d.]+)(us|ms|s)", text)
    return float(found[1]) * _UNITS[found[2]]


def _found(pattern: str, text: str) -> re.Match[str]:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"wrk printed something else: {text}")
    return found
