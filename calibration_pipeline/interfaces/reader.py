"""The published item parameters, for a test engine written in Python (docs/reading-versions.md).

A session pins a version when it starts and keeps it to its end. A pinned version is in memory,
whole and immutable, so that a session needs the database at its start alone:

    reader = ItemReader("postgresql://engine:...@host/exams")
    pinned = reader.pin()                    # what `current` points at
    pinned.probability("item-7", theta=0.3)
    again = reader.pin(pinned.version)       # the same, in another process or after a restart

Light to import: no estimator, no orchestrator, no data frames.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from numbers import Integral
from types import MappingProxyType, TracebackType
from typing import Self, TypeVar, overload

import numpy as np

from calibration_pipeline.errors import BadInputError, DatabaseUnavailableError
from calibration_pipeline.interfaces.pinned_exposure import PinnedExposure, pinned_exposure
from calibration_pipeline.irt.model import FloatArray, response_probabilities
from calibration_pipeline.records import ItemKey, SnapshotItem
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.exposure import read_exposure
from calibration_pipeline.store.published import (
    CURRENT,
    PublishedVersion,
    find_version,
    read_version,
)

__all__ = ["ItemReader", "PinnedExposure", "PinnedVersion"]

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class PinnedVersion:
    """A published version, in memory. It never changes, and may be shared between threads.

    Attributes
    ----------
    version
        Its number; note it down with the session, to resume it on the same parameters.
    scaling_constant
        D of P(θ) = c + (1 − c) / (1 + exp(−D·a·(θ − b))).
    partition
        The local day up to which answers were used.
    published_at
        When it was published.
    content_digest
        SHA-256 of what it says, verified when it was read.
    items
        Item id → the newest content version of that item.
    by_key
        (item id, content version) → item.
    """

    version: int
    scaling_constant: float
    partition: date
    published_at: datetime
    content_digest: str
    items: Mapping[str, SnapshotItem]
    by_key: Mapping[ItemKey, SnapshotItem]

    def item(self, item_id: str, content_version: int | None = None) -> SnapshotItem:
        """Give an item's parameters, standard errors and standing.

        Parameters
        ----------
        content_version
            Which wording of the item; the newest one that the version knows if None.

        Raises
        ------
        BadInputError
            The version lacks it.
        """
        found = (
            self.items.get(item_id)
            if content_version is None
            else self.by_key.get((item_id, content_version))
        )
        if found is None:
            which = "" if content_version is None else f" in content version {content_version}"
            raise BadInputError(
                f"version {self.version} has no item {item_id!r}{which}: add it to the bank, and "
                "the next night publishes it"
            )
        return found

    @overload
    def probability(
        self, item_id: str, theta: float, content_version: int | None = None
    ) -> float: ...
    @overload
    def probability(
        self, item_id: str, theta: FloatArray, content_version: int | None = None
    ) -> FloatArray: ...
    def probability(
        self, item_id: str, theta: float | FloatArray, content_version: int | None = None
    ) -> float | FloatArray:
        """Probability of a right answer at ability `theta`, of the same shape as `theta`.

        Raises
        ------
        BadInputError
            The version lacks the item.
        """
        item = self.item(item_id, content_version)
        parameters = np.array([[item.discrimination, item.difficulty, item.guessing]])
        abilities = np.asarray(theta, np.float64)
        found = response_probabilities(abilities.ravel(), parameters, self.scaling_constant)[0]
        return float(found[0]) if abilities.ndim == 0 else found.reshape(abilities.shape)


class ItemReader:
    """Reads published versions; one per process is enough, for all of its threads.

    Parameters
    ----------
    url
        ``postgresql://user:password@host/database``; the role `calibration_reader` is enough.
    versions_kept
        Versions kept in memory, so that sessions which pin the same one read it once.

    Raises
    ------
    DatabaseUnavailableError
        Here and from every method that reads, when the database can't be reached. A connection
        that was lost is replaced and the reading tried once more before that.
    MissingPrivilegeError
        From every method that reads, when the login lacks the role.
    """

    def __init__(self, url: str, *, versions_kept: int = 8) -> None:
        self._engine = open_engine(url)
        self._versions_kept = versions_kept
        self._kept: dict[int, PinnedVersion] = {}
        self._loading = threading.Lock()

    def current_version(self, alias: str = CURRENT) -> int:
        """Give the version that an alias points at now: cheap enough for every session's start.

        Raises
        ------
        NothingPublishedError
            There is none yet.
        """
        return self._read(lambda: find_version(self._engine, alias))

    def pin(self, version: int | None = None, *, alias: str = CURRENT) -> PinnedVersion:
        """Give a version whole.

        Parameters
        ----------
        version
            Its number, to resume a session; what `alias` points at if None.

        Raises
        ------
        NothingPublishedError
            No version was named, and the alias points at none yet.
        BadInputError
            There is no such version, or that isn't the number of one: a whole one from 1 on.
        DamagedVersionError
            What is stored isn't what was published.
        """
        number = self.current_version(alias) if version is None else _version_number(version)
        kept = self._kept.get(number)
        if kept is not None:
            return kept
        with self._loading:  # threads that ask for a new version at once read it once
            if number not in self._kept:
                pinned = _pinned(self._read(lambda: read_version(self._engine, number)))
                while len(self._kept) >= max(self._versions_kept, 1):
                    del self._kept[next(iter(self._kept))]
                self._kept[number] = pinned
            return self._kept[number]

    def exposure(self, version: int) -> PinnedExposure | None:
        """Give the newest exposure control of a version; None if none was found for it (yet).

        A version can get a newer one, so this isn't kept: pin it with the session.

        Parameters
        ----------
        version
            Of the session.
        """
        number = _version_number(version)
        controls = self._read(lambda: read_exposure(self._engine, number))
        return pinned_exposure(number, controls) if controls else None

    def close(self) -> None:
        """Let go of the database; pinned versions stay usable."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @staticmethod
    def _read(read: Callable[[], _Read]) -> _Read:
        """Read, once more if the connection was lost on the way: reading twice does no harm."""
        try:
            return read()
        except DatabaseUnavailableError:
            return read()


def _version_number(version: object) -> int:
    """Refuse what PostgreSQL would: a text, even one of digits, a flag, a fraction."""
    if not isinstance(version, bool) and isinstance(version, Integral):
        number = int(version)
        if 1 <= number < 2**31:  # where PostgreSQL's integer ends
            return number
    raise BadInputError(
        f"{version!r} is not the number of a version: name one as a whole number from 1 on, or "
        "none to pin the version in force"
    )


def _pinned(published: PublishedVersion) -> PinnedVersion:
    # In order of content versions, so that the newest one of an item stays.
    return PinnedVersion(
        version=published.version,
        scaling_constant=published.scaling_constant,
        partition=published.partition,
        published_at=published.published_at,
        content_digest=published.content_digest,
        items=MappingProxyType({item.key[0]: item for item in published.items}),
        by_key=MappingProxyType({item.key: item for item in published.items}),
    )
