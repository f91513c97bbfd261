"""Slow, half-sent, huge and malformed requests against a server process of its own."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from calibration_pipeline.interfaces.api.limits import Rates
from calibration_pipeline.records import Role
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline_tests.database import Once
from calibration_pipeline_tests.interfaces.api.published import published_database
from calibration_pipeline_tests.interfaces.api.service import (
    Service,
    issued_tokens,
    serving,
    wait_until,
)
from calibration_pipeline_tests.processes import PATIENCE_SECONDS, PROJECT

LIMITS = {
    "CALIBRATION_API__MAXIMUM_BODY_MB": "1",
    "CALIBRATION_API__BODY_TIMEOUT_SECONDS": "1",
    "CALIBRATION_API__WRITES_PER_SECOND": "1000",
    "CALIBRATION_API__REFUSALS_PER_SECOND": "1000",
}
MEGABYTE = 2**20
DECISION = "/v1/flags/i1/decisions"


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)])
def server(
    request: pytest.FixtureRequest,
    once: Once,
    embedded_server: EmbeddedServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """`calibrate api` in one or two processes, as an operator starts it."""
    home = tmp_path_factory.mktemp("limits")
    with published_database(once, embedded_server, home) as settings:
        tokens = issued_tokens(settings)
        assert settings.database_url is not None
        url = settings.database_url.get_secret_value()
        with _started(url, home, workers=request.param) as (process, port):
            yield Service(port, tokens, settings)
            process.terminate()
            assert process.wait(PATIENCE_SECONDS) in (0, -15)
        log = (home / "log").read_text()
        # What callers did wrong is no failure of the service, and no secret is told.
        assert "Traceback" not in log
        assert [line for line in log.splitlines()[1:] if not line.startswith("{")] == []
        assert not any(token in log for token in tokens.values())


@contextmanager
def _started(
    url: str, home: Path, *, workers: int
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CALIBRATION_")}
    environment |= {"CALIBRATION_DATABASE_URL": url, "CALIBRATION_HOME": str(home), **LIMITS}
    command = [sys.executable, "-m", "calibration_pipeline.interfaces.cli", "api"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--workers", str(workers)],
            env=environment | {"PYTHONPATH": str(PROJECT)},
            stderr=log,
            stdout=log,
        )
    children: list[psutil.Process] = []
    try:
        wait_until(lambda: _answers(port) or process.poll() is not None)
        assert process.poll() is None, (home / "log").read_text()
        children = psutil.Process(process.pid).children(recursive=True)
        yield process, port
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        _, left = psutil.wait_procs(children, timeout=PATIENCE_SECONDS)
        assert left == []


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(b"GET /v1/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return b"200" in connection.recv(100)
    except ConnectionError:
        return False


@contextmanager
def connected(server: Service) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) as found:
        yield found


def head(server: Service, *lines: str, path: str = DECISION) -> bytes:
    """The beginning of a POST by an operator."""
    token = server.tokens[Role.OPERATOR]
    fixed = (f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json")
    return "\r\n".join([*fixed, f"Authorization: Bearer {token}", *lines, "", ""]).encode()


def answer(connection: socket.socket) -> bytes:
    """All that comes until the error is whole, or the server hangs up."""
    found = b""
    try:
        while not found.endswith(b'"}}') and (part := connection.recv(65536)):
            found += part
    except ConnectionResetError:  # it hung up on what it hadn't read
        pass
    return found


def status(answered: bytes) -> int:
    found = re.match(rb"HTTP/1.1 (\d+)", answered)
    return int(found[1]) if found else 0


def is_well(server: Service) -> bool:
    return server.get("/v1/versions/current").status == 200


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server: Service) -> None:
    with connected(server) as connection:
        connection.sendall(head(server, f"Content-Length: {MEGABYTE + 1}"))
        answered = answer(connection)
    assert status(answered) == 413
    assert b"BODY_TOO_LARGE" in answered
    assert is_well(server)


def test_a_body_without_a_stated_length_is_refused_where_it_gets_too_large(
    server: Service,
) -> None:
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with connected(server) as connection:
        connection.sendall(head(server, "Transfer-Encoding: chunked"))
        try:
            for _ in range(32):
                connection.sendall(piece)
        except ConnectionError:
            pass
        answered = answer(connection)
    assert status(answered) == 413
    assert is_well(server)


def test_who_sends_all_before_reading_learns_why_it_is_refused(server: Service) -> None:
    """As most clients do; a reset of the connection would overtake the answer."""
    body = b"x" * (5 * MEGABYTE)
    refused = server.post(DECISION, body, role=Role.OPERATOR)
    assert (refused.status, refused.code) == (413, "BODY_TOO_LARGE")
    assert server.post(DECISION, body, role=None).status == 401


def test_a_body_is_not_read_for_a_caller_without_a_token(server: Service) -> None:
    lines = f"POST {DECISION} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    with connected(server) as connection:
        connection.sendall(lines.encode())
        answered = answer(connection)
    assert status(answered) == 401
    assert b"connection: close" in answered.lower()


def test_a_body_that_comes_too_slowly_is_refused(server: Service) -> None:
    with connected(server) as connection:
        connection.sendall(head(server, "Content-Length: 100") + b'{"decision":')
        answered = answer(connection)
    assert status(answered) == 408
    assert b"BODY_TIMEOUT" in answered


def test_a_caller_that_goes_away_in_the_middle_has_started_nothing(server: Service) -> None:
    # Whole in itself, so that only the stated length tells that more was to come.
    body = b'{"decision": "acknowledge", "reason": "half"}'
    for number in range(5):
        with connected(server) as connection:
            connection.sendall(
                head(server, "Content-Length: 500", f"X-Request-ID: half-{number}") + body
            )
    wait_until(lambda: len(_logged(server, "half-")) == 5)
    assert [line["status"] for line in _logged(server, "half-")] == [None] * 5
    assert server.get("/v1/flags/i1").json["decisions"] == []
    assert is_well(server)


def _logged(server: Service, request_id: str) -> list[dict[str, Any]]:
    """The log's lines on requests whose id begins so."""
    lines = (server.settings.home / "log").read_text().splitlines()
    found = [json.loads(line) for line in lines if f'"request_id": "{request_id}' in line]
    return [line for line in found if line["request_id"].startswith(request_id)]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"decision": NaN}', b"\xff\xfe", b'"\\ud800"', b"[" * 9999],
)
def test_a_body_that_cannot_be_read_is_refused(server: Service, body: bytes) -> None:
    refused = server.post(DECISION, body, role=Role.OPERATOR)
    assert (refused.status, refused.code) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "request_line", [b"HELLO\r\n\r\n", b"GET\x00/ HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"]
)
def test_what_is_not_http_is_refused(server: Service, request_line: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(request_line)
        assert status(answer(connection)) in (400, 0)
    assert is_well(server)


def test_headers_that_go_on_and_on_are_refused(server: Service) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET /v1/live HTTP/1.1\r\nX-Endless: ")
        try:
            for _ in range(64):
                connection.sendall(b"y" * 4096)
        except ConnectionError:
            pass
        assert status(answer(connection)) in (431, 0)
    assert is_well(server)


@pytest.mark.slow
def test_headers_that_never_end_are_hung_up_on(server: Service) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET /v1/live HTTP/1.1\r\nX-Half: ")
        assert answer(connection) == b""  # after ten seconds
    assert is_well(server)


def test_a_caller_that_asks_too_often_is_told_to_wait() -> None:
    now = [0.0]
    rates = Rates(2.0, clock=lambda: now[0])
    assert [rates.take("a") for _ in range(4)] == [0.0] * 4
    assert rates.take("a") == 0.5
    assert rates.take("b") == 0.0
    now[0] = 0.5
    assert rates.take("a") == 0.0
    assert rates.take("a") == 0.5


def test_rates_forget_whom_they_have_not_heard_of_for_longest() -> None:
    rates = Rates(1.0, clock=lambda: 0.0)
    for key in range(20_000):
        rates.take(key)
    assert rates.take(0) == 0.0
    assert len(rates) == 10_000


def test_each_token_has_a_rate_of_its_own(
    once: Once, embedded_server: EmbeddedServer, tmp_path: Path
) -> None:
    with (
        published_database(once, embedded_server, tmp_path, writes_per_second=0.5) as settings,
        serving(settings) as service,
    ):
        first, second = (service.post(DECISION, {}, role=Role.OPERATOR) for _ in range(2))
        assert (first.status, second.status, second.code) == (400, 429, "RATE_LIMITED")
        assert 1 <= int(second.headers["retry-after"]) <= 2
        assert service.post(DECISION, {}, role=Role.ADMINISTRATOR).status == 400
        assert service.get("/v1/flags", role=Role.OPERATOR).status == 200
