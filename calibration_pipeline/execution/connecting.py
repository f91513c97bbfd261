"""Connect to a Dask scheduler that answers, and has what the same bytes need.

Dask's own client waits without end for a scheduler that takes the connection and says nothing, and
tasks that a scheduler or a worker can't unpickle end in a traceback or in no answer. So scheduler
and workers are asked for their versions first, in messages that need none of this program.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from calibration_pipeline.errors import CalibrationError, EngineError
from calibration_pipeline.execution.versions import PACKAGES, differences

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 30.0
"""A scheduler that is there answers at once."""
_DIAGNOSIS_SECONDS = 5.0
_PAUSED = "paused"
_Answer = TypeVar("_Answer")


def connect(address: str, seconds: float) -> "Client":
    """Connect to a scheduler with at least one worker.

    Parameters
    ----------
    address
        As `DaskEngine` takes it.
    seconds
        How long to wait for a worker; for the scheduler, `CONNECT_SECONDS` at most.

    Raises
    ------
    EngineError
        Scheduler or workers have other versions installed than this process; or what answers is no
        scheduler; or there are no certificates for ``tls://``.
    OSError, TimeoutError
        The scheduler can't be reached, or doesn't answer.
    """
    from distributed import Client

    patience = min(CONNECT_SECONDS, seconds)
    try:
        n_workers = _asked(address, patience, _compare_versions)
    except TimeoutError:
        raise ConnectionError("the scheduler doesn't answer") from None
    client = Client(
        address,
        timeout=patience,
        set_as_default=False,
        # Tables go from workers to this process, not through the scheduler.
        direct_to_workers=True,
    )
    try:
        client.wait_for_workers(1, timeout=seconds)
        if not n_workers:
            _asked(address, patience, _compare_versions)
    except BaseException:
        client.close()
        raise
    return client


def why_no_answer(address: str) -> str:
    """Say why a cluster may have given no answer in time, as far as its scheduler knows."""
    try:
        return _asked(address, _DIAGNOSIS_SECONDS, _state)
    except EngineError as error:
        return str(error)
    except (OSError, TimeoutError):
        return "its scheduler doesn't answer any more"


def _asked(address: str, seconds: float, ask: "Callable[[Any], Awaitable[_Answer]]") -> _Answer:
    arguments = _connection_arguments(address)

    async def answer() -> _Answer:
        from distributed.core import rpc

        try:
            async with asyncio.timeout(seconds):
                async with rpc(address, timeout=seconds, connection_args=arguments) as scheduler:
                    return await ask(scheduler)
        except (CalibrationError, OSError, TimeoutError):
            raise
        # Dask takes the first bytes of whatever answers for the length of a message, and the rest
        # as it comes: for want of memory, or in errors of any kind.
        except Exception as error:
            raise EngineError(
                f"what answers at {address} is no Dask scheduler, or one of another version "
                f"({type(error).__name__}): correct CALIBRATION_DASK_SCHEDULER"
            ) from error

    return asyncio.run(answer())


def _connection_arguments(address: str) -> dict[str, Any]:
    from distributed.security import Security

    try:
        arguments: dict[str, Any] = Security().get_connection_args("client")
        is_lacking = address.startswith("tls://") and arguments["ssl_context"] is None
        reason = "none are set"
    except OSError as error:
        is_lacking, reason = True, error.strerror or type(error).__name__
    if is_lacking:
        raise EngineError(
            f"{address} needs certificates that Dask can read ({reason}): set "
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE and DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT"
        )
    return arguments


async def _compare_versions(scheduler: Any) -> int:
    """Refuse other versions than those here; give the number of workers."""
    from distributed.versions import get_package_info

    here = get_package_info(PACKAGES)
    names = ("python", *PACKAGES)
    # It unpickles what it is sent, so it needs the program too.
    _require_same("scheduler", names, here, await scheduler.versions(packages=PACKAGES))
    workers: dict[str, Any] = {}
    with suppress(TimeoutError):  # of one that hangs; whoever loads shards is asked again
        async with asyncio.timeout(_DIAGNOSIS_SECONDS):
            question = {"op": "versions", "packages": PACKAGES}
            workers = await scheduler.broadcast(msg=question, on_error="ignore")
    for found in workers.values():
        _require_same("worker", names, here, found)
    return len(workers)


def _require_same(
    who: str, names: tuple[str, ...], here: dict[str, str | None], answer: dict[str, Any]
) -> None:
    there = {name: found for name, found in answer["packages"].items() if found is not None}
    if different := differences({name: here[name] or "none" for name in names}, there):
        raise EngineError(
            f"a Dask {who} has {different}: install the same versions on the scheduler and on all "
            "workers (one image for all is the simplest)"
        )


async def _state(scheduler: Any) -> str:
    workers = (await scheduler.identity(n_workers=-1))["workers"].values()
    if not workers:
        return "it has no worker"
    paused = sum(worker["status"] == _PAUSED for worker in workers)
    if paused:
        return (
            f"{paused} of its {len(workers)} workers are paused, since their memory is full: give "
            "them more of it, or start more of them (docs/scale.md)"
        )
    await _compare_versions(scheduler)
    return f"look at its {len(workers)} workers"
