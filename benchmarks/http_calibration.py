"""`POST /calibrate` on a real server: from the first byte sent to the last one of the answer.

The service is started as an operator starts it, over an empty database.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.processes import ROOT
from calibration_pipeline.records import Role
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.schema import migrate
from calibration_pipeline.store.tokens import issue_token

OBSERVATIONS = 50_000
SHAPES = ((1000, 50, 100), (2500, 20, 200))
"""Persons, answers of each, items: as many answers an item, more or less of a person's."""
MODELS = ("1PL", "2PL", "3PL")
ROUNDS = 5
_LIMIT_SECONDS = 120.0


def request_body(persons: int, answers: int, items: int, model: str, seed: int = 42) -> bytes:
    """Simulate a 3PL's answers to random items; give them as the R service's callers send them."""
    rng = np.random.default_rng(seed)
    ability = rng.normal(size=persons)
    a, b = rng.lognormal(0.2, 0.3, items), rng.normal(size=items)
    c = rng.uniform(0.05, 0.25, items)
    given = np.argsort(rng.random((persons, items)), axis=1)[:, :answers]
    p = c[given] + (1 - c[given]) / (1 + np.exp(-a[given] * (ability[:, None] - b[given])))
    right = rng.random(given.shape) < p
    observations = [
        {
            "user_id": f"user{person}",
            "item_id": f"item{given[person, place]}",
            "is_correct": bool(right[person, place]),
            "responded_at": "2025-11-01T12:34:56Z",
        }
        for person, place in np.ndindex(given.shape)
    ]
    return json.dumps({"observations": observations, "model": model}).encode()


def measure(folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure every shape and model; `load` is what else the machine did before."""
    load = os.getloadavg()[0]
    with served(folder / "home") as (port, token):
        first = _timed_call(port, token, request_body(*SHAPES[0], MODELS[0]))
        rows = [_measured(port, token, *shape, model) for shape in SHAPES for model in MODELS]
    for row in rows:
        size = f"{row['persons']} persons × {row['items']} items"
        say(f"  {row['model']}, {size}: {row['seconds']:.2f} s, worst {row['worst_seconds']:.2f}")
    return {"load": load, "first_seconds": first, "rows": rows}


def _measured(
    port: int, token: str, persons: int, answers: int, items: int, model: str
) -> dict[str, Any]:
    body = request_body(persons, answers, items, model)
    taken = [_timed_call(port, token, body) for _ in range(ROUNDS)]
    return {
        "model": model,
        "persons": persons,
        "items": items,
        "observations": persons * answers,
        "megabytes": len(body) / 1e6,
        "seconds": median(taken),
        "worst_seconds": max(taken),
    }


def _timed_call(port: int, token: str, body: bytes) -> float:
    headers = {"X-Internal-Token": token, "Content-Type": "application/json"}
    started = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", port, timeout=_LIMIT_SECONDS)
    try:
        connection.request("POST", "/calibrate", body, headers)
        answer = connection.getresponse()
        found = answer.read()
    finally:
        connection.close()
    seconds = time.perf_counter() - started
    if answer.status != 200:
        raise RuntimeError(f"POST /calibrate answered {answer.status}: {found[:300]!r}")
    return seconds


@contextmanager
def served(home: Path) -> Iterator[tuple[int, str]]:
    """Serve an empty database until the block ends; give the port, and an operator's token."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = EmbeddedServer(home)
    server.start()
    try:
        engine = open_engine(server.url())
        migrate(engine)
        token, _ = issue_token(
            engine, name="benchmark", role=Role.OPERATOR, issued_by="benchmark", expires_at=None
        )
        engine.dispose()
        command = [sys.executable, "-m", "calibration_pipeline.interfaces.cli", "api"]
        environment = {**os.environ, "CALIBRATION_HOME": str(home)}
        process = subprocess.Popen(
            [*command, "--port", str(port)], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
        )
        try:
            _wait_until_ready(port, process)
            yield port, token
        finally:
            process.terminate()
            process.wait()
    finally:
        server.remove()


def _wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _LIMIT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=5.0)
        try:
            connection.request("GET", "/v1/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise RuntimeError("the service didn't start")
