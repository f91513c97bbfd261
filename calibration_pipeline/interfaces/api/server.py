"""How the service is served: uvicorn, with a limit on headers that are slow or endless."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from calibration_pipeline.api_configuration import ApiConfiguration

_MOST_HEADER_BYTES = 32 * 1024
_KEEP_ALIVE_SECONDS = 75
_GRACE_SECONDS = 30


def server_options(limits: ApiConfiguration) -> dict[str, Any]:
    """Give uvicorn's settings for the service."""
    return {
        "host": limits.host,
        "port": limits.port,
        "workers": limits.workers,
        "http": protocol(limits.header_timeout_seconds),
        "ws": "none",
        "access_log": False,  # the service writes its own, with ids
        "server_header": False,
        "proxy_headers": False,  # anybody could state another address
        "limit_concurrency": limits.maximum_connections,
        "timeout_keep_alive": _KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": _GRACE_SECONDS,
    }


def protocol(header_timeout_seconds: float) -> type[HttpToolsProtocol]:
    """Give uvicorn's protocol, which by itself waits for a request's headers for ever."""

    class ImpatientProtocol(HttpToolsProtocol):
        """Hangs up on headers that don't come in time, or don't end."""

        _deadline: asyncio.TimerHandle | None = None
        _header_bytes = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._expect_headers()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._header_bytes = 0
            self._expect_headers()

        def on_url(self, url: bytes) -> None:
            self._count(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._count(len(name) + len(value))
            super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._stop_waiting()
            super().on_headers_complete()

        def _count(self, size: int) -> None:
            self._header_bytes += size
            if self._header_bytes > _MOST_HEADER_BYTES:
                raise ValueError("headers too large")  # the parser ends in 400

        def _expect_headers(self) -> None:
            self._stop_waiting()
            self._deadline = self.loop.call_later(header_timeout_seconds, self._hang_up)

        def _stop_waiting(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _hang_up(self) -> None:
            if self.transport is not None and not self.transport.is_closing():
                self.transport.close()

    return ImpatientProtocol
