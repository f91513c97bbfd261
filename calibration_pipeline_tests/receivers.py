"""Who alerts are sent to in tests: a web server and a mail server on this machine."""

import http.server
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

SECRET = "7c2e-who-knows-it-can-post"  # noqa: S105 - of a server on this machine
PASSWORD = "a-mail-pass-word"  # noqa: S105 - the same


class Webhook:
    """An HTTP server that keeps what it is told, and answers as it is bidden."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.answers = 200
        self.hangs_for = 0.0
        webhook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(webhook.hangs_for)
                webhook.told.append(json.loads(body))
                self.send_response(webhook.answers)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/services/{SECRET}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class MailServer:
    """An SMTP server that keeps messages, and lets in whoever has the password."""

    def __init__(self, certificate: ssl.SSLContext | None = None) -> None:
        self.messages: list[EmailMessage] = []
        self.logins: list[str] = []
        self.answer = "250 OK"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            authenticator=self._let_in,
            auth_require_tls=False,
            tls_context=certificate,
            require_starttls=certificate is not None,
        )

    def _let_in(self, _server: Any, _session: Any, _envelope: Any, _how: str, data: Any) -> Any:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)

    async def handle_DATA(  # noqa: N802 - the library calls it
        self, _server: Any, _session: Any, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return self.answer


@contextmanager
def running_webhook() -> Iterator[Webhook]:
    """A web server for as long as the body lasts."""
    webhook = Webhook()
    try:
        yield webhook
    finally:
        webhook.stop()


@contextmanager
def running_mail_server(certificate: ssl.SSLContext | None = None) -> Iterator[MailServer]:
    """A mail server for as long as the body lasts."""
    server = MailServer(certificate)
    server.controller.start()
    try:
        yield server
    finally:
        server.controller.stop()
