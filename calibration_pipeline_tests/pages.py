"""Pages whose commands are run: read, and worked through like a session at a terminal.

One home folder, one embedded server, variables that stay exported. In a ``console`` block lines
that begin with ``$`` are commands; the others are output that has to appear, where ``…`` stands for
anything. ``sql`` blocks go to the database.
"""

import json
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline_tests.database import connect
from calibration_pipeline_tests.processes import PATIENCE_SECONDS

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT_CODE = re.compile(r"# exit code (\d+)")
PORT = re.compile(r"(--port|-p) \d+")


@dataclass(frozen=True)
class Step:
    """A command of the page, or a statement in SQL.

    Attributes
    ----------
    command
        As it is typed.
    shown
        Lines of output that have to appear, in this order.
    """

    command: str
    shown: tuple[str, ...] = ()
    is_sql: bool = False

    @property
    def exit_code(self) -> int:
        """What the page says that the command ends with; 0 where it says nothing."""
        stated = EXIT_CODE.search(self.command)
        return int(stated[1]) if stated else 0

    @property
    def serves(self) -> bool:
        """Whether the command goes on until it is ended."""
        return self.command.startswith(("dagster-daemon run", "dagster-webserver", "calibrate ui"))


@dataclass(frozen=True)
class Chapter:
    """A chapter of the page, with the steps of its blocks."""

    title: str
    blocks: tuple[tuple[Step, ...], ...]


def read_page(page: str) -> list[Chapter]:
    """Split the page into its chapters, each with every fenced block that it has."""
    chapters = []
    for text in re.split(r"^#+ ", page, flags=re.MULTILINE)[1:]:
        blocks = tuple(_steps(*match.groups()) for match in FENCE.finditer(text))
        chapters.append(Chapter(text.splitlines()[0], blocks))
    return chapters


def _steps(language: str, block: str) -> tuple[Step, ...]:
    if language == "sql":
        return (Step(block, is_sql=True),)
    assert language == "console", f"a block that nobody runs: {language!r}"
    steps: list[Step] = []
    for line in block.replace("\\\n>", "").splitlines():
        if line.startswith("$ "):
            steps.append(Step(line.removeprefix("$ ")))
        elif line.strip():
            assert steps, f"output without a command: {line!r}"
            steps[-1] = Step(steps[-1].command, (*steps[-1].shown, line))
    assert steps, "a block without a command"
    return tuple(steps)


@dataclass
class Operator:
    """Somebody at a terminal, who works through the page."""

    chapters: Sequence[Chapter]
    folder: Path
    environment: dict[str, str]
    chapters_done: int = 0
    failed: str = ""
    homes: set[Path] = field(default_factory=set)

    def work_through(self, number: int) -> None:
        """Run everything up to a chapter and with it, unless it was run before."""
        while self.chapters_done <= number:
            if self.failed:
                pytest.fail(f"not begun, because the chapter {self.failed!r} failed")
            chapter = self.chapters[self.chapters_done]
            self.failed = chapter.title
            for block in chapter.blocks:
                self.work_on(block)
            self.failed = ""
            self.chapters_done += 1

    def work_on(self, block: Sequence[Step]) -> None:
        """Run the steps of a block; what serves is ended with it."""
        with ExitStack() as until_the_end:
            started: list[Server] = []
            for step in block:
                if step.serves:
                    server = self._server(step.command)
                    until_the_end.callback(server.end)
                    started.append(server)
                    continue
                while started:
                    started.pop().wait()
                self._run(step)
            while started:
                started.pop().wait()

    @property
    def home(self) -> Path:
        """The home folder in use."""
        return self.folder / self.environment.get("CALIBRATION_HOME", ".calibration")

    def _run(self, step: Step) -> None:
        self.homes.add(self.home)
        if step.is_sql:
            with connect(EmbeddedServer(self.home).url()) as connection:
                connection.execute(step.command)
            return
        found = self._type(step.command)
        said = f"$ {step.command}\n{found.stdout}"
        assert found.returncode == step.exit_code, said
        wanted = ".*".join(_pattern(line) for line in step.shown)
        assert re.search(wanted, _loose(found.stdout)), f"{said}\nlacks {step.shown}"

    def _type(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a shell, and keep what it exports and where it goes."""
        after = self.folder.parent / "after"
        kept = f'code=$?; {{ pwd; env -0; }} > "{after}"; exit $code'
        result = subprocess.run(
            ["bash", "-c", f"set -o pipefail\n{command}\n{kept}"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        folder, variables = after.read_text().split("\n", 1)
        self.folder = Path(folder)
        self.environment = dict(
            entry.split("=", 1) for entry in variables.split("\0") if "=" in entry
        )
        return result

    def _server(self, command: str) -> "Server":
        """Start a command that serves, on a port that is free here."""
        port = _free_port()
        log = self.folder.parent / f"{command.split()[0]}.log"
        with log.open("w") as written:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {PORT.sub(f'--port {port}', command)}"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
            )
        if command.startswith("dagster-daemon"):
            database = EmbeddedServer(self.home).dagster_url()
            return Server(process, log, lambda: _daemons_live(database, log))
        return Server(process, log, lambda: _shows_the_assets(port))


@dataclass(frozen=True)
class Server:
    """A command that goes on until it is ended."""

    process: subprocess.Popen[bytes]
    log: Path
    answers: Callable[[], bool]

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                pytest.fail(f"it didn't get there:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.3)

    def end(self) -> None:
        """End it as its terminal would."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def _daemons_live(database: str, log: Path) -> bool:
    """Whether every daemon that the log names has sent its first heartbeat."""
    named = re.search(r"following daemons: \[(.*?)\]", log.read_text())
    if named is None:
        return False
    with connect(database) as connection:
        (beating,) = connection.execute("SELECT count(*) FROM daemon_heartbeats").fetchone() or (0,)
    return bool(beating >= len(named[1].split(",")))


def _shows_the_assets(port: int) -> bool:
    """Whether the web server answers, with the project's definitions loaded."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": "{ assetNodes { id } }"}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - the same
            return len(json.load(response)["data"]["assetNodes"]) > 5
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _loose(text: str) -> str:
    """Leave out what tables draw, and the widths of their columns."""
    return " ".join(re.sub(r"[│┃┏┓┗┛┡┩└┘├┤┬┴┼━─┳╇]", " ", text).split())


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part.strip()) for part in _loose(line).split("…"))
