"""What keeps a scheduler from being used is one line, within a bounded time."""

import socket
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from calibration_pipeline.errors import EngineError, EngineUnavailableError
from calibration_pipeline.store.shard_files import ShardFiles

pytest.importorskip("distributed")

import dask

from calibration_pipeline.execution.connecting import why_no_answer
from calibration_pipeline.execution.dask_engine import DaskEngine
from calibration_pipeline_tests.execution.cluster import cluster, worker_of

TIMEOUT = 60.0


def test_a_scheduler_that_takes_the_connection_and_says_nothing_is_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with DaskEngine(address, ShardFiles(str(tmp_path)), 1.0) as engine:
            started = time.monotonic()
            with pytest.raises(EngineUnavailableError, match=r"can't be reached, or went away"):
                engine.facts()
            assert time.monotonic() - started < 10.0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x10" + bytes(7) + b"x" * 16])
def test_a_server_that_is_no_scheduler_is_one_line(tmp_path, greeting):
    """Its first eight bytes are taken for a length, of exbibytes or of a message."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=_greet_one, args=(server, greeting), daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        engine = DaskEngine(address, ShardFiles(str(tmp_path)), TIMEOUT)
        with engine, pytest.raises(EngineError, match=r"is no Dask scheduler.* correct CALIB"):
            engine.facts()


def _greet_one(server: socket.socket, greeting: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(greeting)
        while connection.recv(2**16):
            pass


@pytest.mark.parametrize(
    ("file", "reason"), [(None, "none are set"), ("missing.pem", "No such file")]
)
def test_a_tls_address_without_certificates_is_one_line(tmp_path, file, reason):
    path = file and str(tmp_path / file)
    settings = {f"distributed.comm.tls.{name}": path for name in ("ca-file", "client.cert")}
    engine = DaskEngine("tls://127.0.0.1:1", ShardFiles(str(tmp_path)), TIMEOUT)
    refused = pytest.raises(EngineError, match=rf"needs certificates .*{reason}.*__CA_FILE and")
    with dask.config.set(settings), engine, refused:
        engine.facts()


@pytest.fixture
def other_packages(tmp_path: Path) -> Path:
    """A folder in which another version of a package seems to be installed."""
    folder = tmp_path / "installed"
    information = folder / "llvmlite-0.1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: llvmlite\nVersion: 0.1\n")
    return folder


@pytest.mark.parametrize("who", ["scheduler", pytest.param("worker", marks=pytest.mark.slow)])
def test_a_cluster_with_other_versions_is_refused_before_it_is_sent_anything(
    tmp_path, other_packages, who
):
    line = rf"{who} has llvmlite 0\.1 instead"
    with cluster(0, other_packages if who == "scheduler" else None) as own:
        own.stack.enter_context(worker_of(own.address, installed=other_packages))
        engine = DaskEngine(own.address, ShardFiles(str(tmp_path / "archive")), TIMEOUT)
        with engine, pytest.raises(EngineError, match=line) as refusal:
            engine.facts()
    assert not isinstance(refusal.value, EngineUnavailableError)  # nobody tries it again
    assert not (tmp_path / "archive").exists()


@pytest.mark.slow
def test_workers_whose_memory_is_full_are_named_as_the_cause(tmp_path):
    with cluster(0) as own:
        own.stack.enter_context(worker_of(own.address, memory_limit="100MiB"))
        engine = DaskEngine(own.address, ShardFiles(str(tmp_path)), 5.0)
        with engine:
            with suppress(EngineUnavailableError):
                engine.facts()  # the program alone takes more memory than there is
            end = time.monotonic() + TIMEOUT
            while "paused" not in why_no_answer(own.address):
                assert time.monotonic() < end
                time.sleep(0.2)
            with pytest.raises(EngineUnavailableError, match="1 of its 1 workers are paused"):
                engine.facts()
