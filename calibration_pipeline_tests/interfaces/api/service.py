"""The service on a real socket, in a thread of the test's process, with a token of every role."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import uvicorn
from psycopg import sql
from sqlalchemy.engine import make_url

from calibration_pipeline.interfaces.api.app import create_app
from calibration_pipeline.interfaces.api.server import server_options
from calibration_pipeline.records import Role
from calibration_pipeline.settings import Settings
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.tokens import issue_token
from calibration_pipeline_tests.database import connect
from calibration_pipeline_tests.processes import PATIENCE_SECONDS


@dataclass(frozen=True)
class Answer:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error."""
        return str(self.json["error"]["code"])


@dataclass(frozen=True)
class Service:
    """A running service and what is needed to call it."""

    port: int
    tokens: Mapping[Role, str]
    settings: Settings

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def call(
        self,
        method: str,
        path: str,
        *,
        role: Role | None = Role.READER,
        token: str | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request on a connection of its own; `body` is sent as JSON unless bytes."""
        sent = dict(headers or {})
        token = self.tokens[role] if token is None and role is not None else token
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token}")
        payload = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if payload is not None:
            sent.setdefault("Content-Type", "application/json")
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path, body=payload, headers=sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def execute(self, statement: str) -> None:
        """Change the database behind the service's back."""
        with connect(self.database_url) as connection:
            connection.execute(statement)

    def close_database(self) -> None:
        """Take the database from the service: connections end, and new ones are refused."""
        name = str(make_url(self.database_url).database)
        with connect(str(make_url(self.database_url).set(database="postgres"))) as connection:
            statement = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false")
            connection.execute(statement.format(sql.Identifier(name)))
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(ended, [name])

    @property
    def database_url(self) -> str:
        """The database's address."""
        assert self.settings.database_url is not None
        return self.settings.database_url.get_secret_value()

    def get(self, path: str, **options: Any) -> Answer:
        """Send a GET."""
        return self.call("GET", path, **options)

    def post(self, path: str, body: object = None, **options: Any) -> Answer:
        """Send a POST."""
        return self.call("POST", path, body=body, **options)


def issued_tokens(settings: Settings) -> dict[Role, str]:
    """Issue a token of every role."""
    assert settings.database_url is not None
    engine = open_engine(settings.database_url.get_secret_value())
    try:
        return {
            role: issue_token(
                engine, name=f"test {role.title}", role=role, issued_by="a test", expires_at=None
            )[0]
            for role in Role
        }
    finally:
        engine.dispose()


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it doesn't come about"
        time.sleep(0.05)


@contextmanager
def serving(settings: Settings) -> Iterator[Service]:
    """Serve until the block ends."""
    tokens = issued_tokens(settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        options = server_options(settings.api) | {"workers": 1, "log_level": "error"}
        config = uvicorn.Config(create_app(settings), **options)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield Service(listener.getsockname()[1], tokens, settings)
        finally:
            server.should_exit = True
            thread.join(PATIENCE_SECONDS)


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    while not server.started:
        assert thread.is_alive(), "the service didn't start"
        thread.join(0.02)
