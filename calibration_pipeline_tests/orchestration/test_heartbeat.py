"""The heartbeat: a file, and a message to a real HTTP server on this machine."""

import http.server
import json
import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from calibration_pipeline.definitions import heartbeat_of
from calibration_pipeline.errors import LockHeldError, NightBlockedError
from calibration_pipeline.orchestration import heartbeat as heartbeats
from calibration_pipeline.orchestration.heartbeat import (
    Beat,
    WatchdogHeartbeat,
    failure_url,
)
from calibration_pipeline.settings import Settings
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.publication_switch import freeze, thaw
from calibration_pipeline_tests.programme import FIRST, NIGHTS, Programme

NOW = datetime(2026, 6, 11, 2, 10, tzinfo=UTC)
SECRET = "9f3a-which-silences-the-watchdog"  # noqa: S105 - of a server on this machine


class Watchdog:
    """An HTTP server that keeps what it is told, answers as it is bidden, or never."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.answers = 200
        self.hangs_for = 0.0
        watchdog = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                watchdog.told.append((self.path, json.loads(body)))
                time.sleep(watchdog.hangs_for)
                self.send_response(watchdog.answers)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/ping/{SECRET}"


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    found = Watchdog()
    yield found
    found.server.shutdown()
    found.server.server_close()


def heart(folder: Path, url: str | None) -> WatchdogHeartbeat:
    return WatchdogHeartbeat(folder, url, lambda now: now + timedelta(days=1), lambda: NOW)


def test_success_and_failure_are_told_at_their_addresses(
    watchdog: Watchdog, tmp_path: Path
) -> None:
    beat = heart(tmp_path / "home", watchdog.url)
    assert beat(Beat(date(2026, 6, 10), "completed", 34, 33, "exam week")) == []
    assert beat(Beat(date(2026, 6, 10), "completed_empty")) == []
    assert beat(Beat(date(2026, 6, 10), "rejected")) == []
    paths = [path for path, _ in watchdog.told]
    assert paths == [f"/ping/{SECRET}", f"/ping/{SECRET}", f"/ping/{SECRET}/fail"]
    assert watchdog.told[0][1] == {
        "finished_at": "2026-06-11T02:10:00+00:00",
        "next_expected_at": "2026-06-12T02:10:00+00:00",
        "night": "2026-06-10",
        "outcome": "completed",
        "version": 34,
        "current": 33,
        "held_back": "exam week",
    }
    file = tmp_path / "home" / "heartbeat.json"
    assert json.loads(file.read_text()) == watchdog.told[-1][1]
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["heartbeat.json"]


def test_the_address_of_a_failure() -> None:
    assert failure_url("https://hc.example/uuid") == "https://hc.example/uuid/fail"
    assert failure_url("https://hc.example/uuid/") == "https://hc.example/uuid/fail"
    assert failure_url("https://hc.example/k/n?create=1") == "https://hc.example/k/n/fail?create=1"


@pytest.mark.parametrize("trouble", ["refuses", "answers 503", "hangs"])
def test_a_watchdog_in_trouble_is_a_warning_without_its_address(
    watchdog: Watchdog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setattr(heartbeats, "TIMEOUT_SECONDS", 0.3)
    if trouble == "refuses":
        watchdog.server.shutdown()
        watchdog.server.server_close()
    watchdog.answers = 503
    watchdog.hangs_for = 5.0 if trouble == "hangs" else 0.0
    started = time.monotonic()
    (warning,) = heart(tmp_path, watchdog.url)(Beat(date(2026, 6, 10), "completed", 34))
    assert time.monotonic() - started < 2.0
    reasons = {"refuses": "ConnectionRefusedError", "answers 503": "503", "hangs": "Timeout"}
    assert reasons[trouble] in warning
    assert "CALIBRATION_HEARTBEAT_URL" in warning
    assert SECRET not in warning
    assert str(watchdog.server.server_address[1]) not in warning
    assert len(watchdog.told) == (0 if trouble == "refuses" else 2)


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the folder should be")
    (warning,) = heart(tmp_path / "home", None)(Beat(date(2026, 6, 10), "completed", 34))
    assert warning.startswith("the heartbeat was not written")


def watched(programme: Programme, url: str) -> Programme:
    settings = programme.settings
    secret = Settings(heartbeat_url=url).heartbeat_url
    return Programme(settings.model_copy(update={"heartbeat_url": secret}), programme.instance)


def test_nights_tell_how_they_ended(
    programme: Programme, watchdog: Watchdog, caplog: pytest.LogCaptureFixture
) -> None:
    own = watched(programme, watchdog.url)
    own.run(FIRST, NIGHTS[1])
    own.with_policy(population_sd_range=(2.0, 5.0)).run(NIGHTS[2])
    told = [(path, beat["night"], beat["outcome"], beat["version"]) for path, beat in watchdog.told]
    assert told == [
        (f"/ping/{SECRET}", str(NIGHTS[1]), "completed", 2),
        (f"/ping/{SECRET}/fail", str(NIGHTS[2]), "rejected", None),
    ]
    assert datetime.fromisoformat(watchdog.told[0][1]["next_expected_at"]) > datetime.now(UTC)
    written = json.loads((own.settings.home / "heartbeat.json").read_text())
    assert written["outcome"] == "rejected"
    assert SECRET not in caplog.text
    assert SECRET not in str(programme.instance.all_logs(programme.instance.get_runs()[0].run_id))


def test_a_heartbeat_tells_what_engines_read_and_why_it_is_not_the_nights_version(
    programme: Programme, watchdog: Watchdog
) -> None:
    own = watched(programme, watchdog.url)
    own.run(FIRST, NIGHTS[1])
    freeze(own.engine, decided_by="ada", reason="exam week")
    own.run(NIGHTS[2])
    thaw(own.engine, decided_by="ada", reason="over")
    own.run(FIRST)
    own.with_policy(population_sd_range=(2.0, 5.0)).run(NIGHTS[2])
    told = [(beat["version"], beat["current"], beat["held_back"]) for _, beat in watchdog.told]
    assert told[0] == (2, 2, "")
    assert told[1][:2] == (3, 2)
    assert "by ada: exam week; `current` stays at version 2" in told[1][2]
    assert told[2] == (1, 2, "`current` is at version 2: `calibrate snapshots moves` says why")
    assert told[3] == (None, 2, "")


def test_a_run_that_crashes_tells_it_too(programme: Programme, watchdog: Watchdog) -> None:
    own = watched(programme, watchdog.url)
    own.run(FIRST)
    (archived,) = (own.settings.home / "archive").rglob("*.parquet")
    archived.write_bytes(b"not Parquet")
    with pytest.raises(NightBlockedError):
        own.run(NIGHTS[1], heartbeat=heartbeat_of(own.settings))
    path, beat = watchdog.told[-1]
    assert (path, beat["night"], beat["outcome"]) == (
        f"/ping/{SECRET}/fail",
        str(NIGHTS[1]),
        "failed",
    )
    assert len(watchdog.told) == 2


def test_a_run_that_is_refused_leaves_it_to_the_other_one(
    programme: Programme, watchdog: Watchdog
) -> None:
    own = watched(programme, watchdog.url)
    with CalibrationLock(own.engine, "run 7"), pytest.raises(LockHeldError):
        own.run(FIRST, heartbeat=heartbeat_of(own.settings))
    assert watchdog.told == []


def test_a_watchdog_that_is_down_fails_no_night(
    programme: Programme, watchdog: Watchdog, caplog: pytest.LogCaptureFixture
) -> None:
    watchdog.server.shutdown()
    watchdog.server.server_close()
    with caplog.at_level(logging.WARNING):
        outcome = watched(programme, watchdog.url).night(FIRST)
    assert outcome.outcome == "completed"
    logged = str(programme.instance.all_logs(programme.instance.get_runs()[0].run_id))
    assert "was not told, in 2 tries: ConnectionRefusedError" in logged
    assert SECRET not in logged
