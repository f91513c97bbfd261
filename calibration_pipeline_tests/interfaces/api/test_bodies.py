"""Bodies in memory: how much of them there may be at once."""

import asyncio
from collections.abc import Iterable

import pytest
from starlette.types import Message, Receive

from calibration_pipeline.api_configuration import ApiConfiguration
from calibration_pipeline.interfaces.api.bodies import MEGABYTE, Bodies, WholeBody
from calibration_pipeline.interfaces.api.errors import ApiError

SCOPE = {"type": "http", "headers": [(b"transfer-encoding", b"chunked")]}


def sender(parts: Iterable[bytes], *, hangs_up: bool = False) -> Receive:
    """What a server hands on of a body in parts."""
    messages: list[Message] = [
        {"type": "http.request", "body": part, "more_body": True} for part in parts
    ]
    if hangs_up:
        messages.append({"type": "http.disconnect"})
    else:
        messages.append({"type": "http.request", "body": b"", "more_body": False})
    coming = iter(messages)

    async def receive() -> Message:
        return next(coming)

    return receive


def test_bodies_together_are_bounded_and_a_place_is_free_when_one_is_answered() -> None:
    async def send() -> None:
        bodies = Bodies(ApiConfiguration(maximum_body_mb=1))
        held = [await bodies.read(SCOPE, sender([b"x" * MEGABYTE])) for _ in range(8)]
        for _ in range(2):  # what is refused is not held
            with pytest.raises(ApiError) as refusal:
                await bodies.read(SCOPE, sender([b"x"]))
            assert (refusal.value.status, refusal.value.code) == (503, "BUSY")
            assert int(refusal.value.headers["retry-after"]) >= 1
        assert held[0] is not None
        bodies.release(held[0])
        assert isinstance(await bodies.read(SCOPE, sender([b"x"])), WholeBody)

    asyncio.run(send())


def test_a_body_that_does_not_come_whole_holds_nothing() -> None:
    async def send() -> None:
        bodies = Bodies(ApiConfiguration(maximum_body_mb=1))
        for _ in range(20):
            assert await bodies.read(SCOPE, sender([b"x" * MEGABYTE], hangs_up=True)) is None
            with pytest.raises(ApiError) as refusal:
                await bodies.read(SCOPE, sender([b"x" * MEGABYTE, b"x"]))
            assert refusal.value.status == 413
        assert isinstance(await bodies.read(SCOPE, sender([b"x" * MEGABYTE])), WholeBody)

    asyncio.run(send())
