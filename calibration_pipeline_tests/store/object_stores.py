"""A real S3 server on the loopback address, and what can go wrong between it and the pipeline."""

import socket
import socketserver
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest

BUCKET = "calibration-tests"
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "nothing-secret",  # the server takes any
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",
}


class Wire(socketserver.ThreadingTCPServer):
    """Passes bytes on to a server, as long as nobody says otherwise.

    Attributes
    ----------
    is_refusing
        New connections are closed at once.
    is_silent
        What is sent disappears, and nobody answers.
    cut_after
        A connection is closed once so many bytes went to the server; None to leave it.
    passed
        Bytes that went to the server.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.mend()
        self.passed = 0

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def mend(self) -> None:
        """Let everything pass again."""
        self.is_refusing = self.is_silent = False
        self.cut_after: int | None = None


class _Handler(socketserver.BaseRequestHandler):
    server: Wire

    def handle(self) -> None:
        if self.server.is_refusing:
            return
        with socket.create_connection(self.server.target) as behind:
            back = threading.Thread(target=self._send_back, args=(behind,), daemon=True)
            back.start()
            self._send_on(behind)
            for end in (behind, self.request):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            back.join()

    def _send_on(self, behind: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while data := self.request.recv(65536):
                if self.server.is_silent:
                    continue
                passed += len(data)
                limit = self.server.cut_after
                if limit is not None and passed > limit:
                    return
                self.server.passed += len(data)
                behind.sendall(data)

    def _send_back(self, behind: socket.socket) -> None:
        with suppress(OSError):
            while data := behind.recv(65536):
                self.request.sendall(data)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[tuple[str, int]]:
    """Address of an S3 server that speaks HTTP and keeps objects in memory."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    made = urllib.request.Request(f"http://{host}:{port}/{BUCKET}", method="PUT")
    urllib.request.urlopen(made).close()  # noqa: S310 - on the loopback address
    yield host, port
    server.stop()


@pytest.fixture
def s3_wire(s3_server: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The way to the server; the environment says that S3 is there, and has the credentials."""
    wire = Wire(s3_server)
    threading.Thread(target=wire.serve_forever, args=(0.02,), daemon=True).start()
    for name, value in (_ENVIRONMENT | {"AWS_ENDPOINT_URL": wire.url}).items():
        monkeypatch.setenv(name, value)
    yield wire
    wire.mend()
    wire.shutdown()
    wire.server_close()


@pytest.fixture
def s3_archive(s3_wire: Wire) -> str:
    """URL of an empty place in a bucket of the server."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"
