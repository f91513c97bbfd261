"""Settings of the HTTP service, with their defaults."""

from dataclasses import dataclass

from calibration_pipeline.irt.configuration import require


@dataclass(frozen=True)
class ApiConfiguration:
    """Where the HTTP service listens, and what it allows its callers.

    Attributes
    ----------
    host
        Address to listen on.
    port
        TCP port.
    workers
        Processes that answer; each has its own rates and its own memory.
    maximum_body_mb
        Megabytes (2²⁰ bytes) of a request's body.
    body_timeout_seconds
        Within which a request's body must have come.
    reads_per_second, writes_per_second
        Requests of one token, on average, in one process: GET and HEAD, and all others. Twice as
        many may come at once.
    refusals_per_second
        Requests without a valid token from one address.
    maximum_connections
        Connections that one process holds at once.
    versions_in_memory
        Published versions that each process keeps encoded.
    calculators
        Processes that fit and simulate for callers, beside each process that answers.
    calculations_waiting
        Callers who may wait for one of them; others are told to come back.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    maximum_body_mb: int = 32
    body_timeout_seconds: float = 60.0
    reads_per_second: float = 5000.0
    writes_per_second: float = 20.0
    refusals_per_second: float = 20.0
    maximum_connections: int = 1000
    versions_in_memory: int = 4
    calculators: int = 1
    calculations_waiting: int = 8

    def __post_init__(self) -> None:
        require(1 <= self.port <= 65535, "port must be from 1 to 65535")
        for name in ("workers", "maximum_body_mb", "maximum_connections", "versions_in_memory",
                     "calculators", "calculations_waiting"):  # fmt: skip
            require(getattr(self, name) >= 1, f"{name} must be 1 or more")
        for name in (
            "body_timeout_seconds",
            "reads_per_second",
            "writes_per_second",
            "refusals_per_second",
        ):
            require(getattr(self, name) > 0, f"{name} must be above 0")
