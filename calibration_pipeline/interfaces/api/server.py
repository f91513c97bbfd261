"""How the service is served: uvicorn, with a limit on headers that are slow or endless."""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from calibration_pipeline.api_configuration import ApiConfiguration
from calibration_pipeline.interfaces.api.request_log import SERVERS_LOG

_MOST_HEADER_BYTES = 32 * 1024
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)
_KEEP_ALIVE_SECONDS = 75
_GRACE_SECONDS = 30


class ImpatientProtocol(HttpToolsProtocol):
    """Hangs up on headers that don't come in time, or don't end.

    Uvicorn by itself waits for them for ever, and keeps whatever comes. A class of this module,
    since worker processes import it by name.
    """

    header_seconds: ClassVar[float] = 10.0
    """Within which a request's line and headers must have come."""

    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in what came; refuse headers that go on and on."""
        if self.transport.is_closing():
            return
        self._header_bytes += len(data)
        super().data_received(data)
        if self._deadline is not None and self._header_bytes > _MOST_HEADER_BYTES:
            self.transport.write(_TOO_LARGE)
            self._hang_up()

    def on_message_begin(self) -> None:
        """Begin to wait for a request's headers."""
        super().on_message_begin()
        self._header_bytes = 0
        self._expect_headers()

    def on_headers_complete(self) -> None:
        """Stop waiting: the body has a time limit of its own."""
        self._stop_waiting()
        super().on_headers_complete()

    def _expect_headers(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(self.header_seconds, self._hang_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _hang_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def server_options(limits: ApiConfiguration) -> dict[str, Any]:
    """Give uvicorn's settings for the service."""
    return {
        "host": limits.host,
        "port": limits.port,
        "workers": limits.workers,
        "http": ImpatientProtocol,
        "ws": "none",
        "log_config": SERVERS_LOG,
        "access_log": False,  # the service writes its own, with ids
        "server_header": False,
        "proxy_headers": False,  # anybody could state another address
        "limit_concurrency": limits.maximum_connections,
        "timeout_keep_alive": _KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": _GRACE_SECONDS,
    }
