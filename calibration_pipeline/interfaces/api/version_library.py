"""Published versions in memory, as the bytes that answers consist of.

A version never changes: it is read, verified and encoded once per process. Which version an alias
points at is read anew when it is older than a second.
"""

import asyncio
import gzip
import hashlib
import json
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from starlette.concurrency import run_in_threadpool

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.api.errors import ApiError
from calibration_pipeline.records import ItemKey, SnapshotItem, SnapshotManifest
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.published import find_version, read_version
from calibration_pipeline.store.snapshot_files import (
    item_documents,
    manifest_document,
    parquet_bytes,
)
from calibration_pipeline.store.snapshots import read_audit, read_manifest

ALIAS_FRESH_SECONDS: Final = 1.0
"""How long after a move of an alias the version before it may still be given."""

VERSION_PATTERN: Final = r"^(?:[1-9][0-9]{0,9}|[a-z][a-z0-9_-]{0,62})$"
"""A version's number, or an alias."""

_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_LARGEST_NUMBER = 2**31 - 1  # of PostgreSQL's integer
_MOST_ALIASES = 100
_GZIP_LEVEL = 6


@dataclass(frozen=True)
class Encoded:
    """The body of an answer, and the strong validator of just these bytes."""

    body: bytes
    etag: str

    @classmethod
    def of(cls, body: bytes) -> "Encoded":
        """Encode once; the validator is their SHA-256, cut to 128 bits."""
        return cls(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


@dataclass(frozen=True)
class EncodedVersion:
    """A version whose items have been found to match its digest.

    Attributes
    ----------
    number
        Of the version.
    summary
        Manifest and audit.
    items
        Item id → its newest content version.
    by_key
        (item id, content version) → item.
    """

    number: int
    summary: Encoded
    items: Mapping[str, Encoded]
    by_key: Mapping[ItemKey, Encoded]
    _manifest: SnapshotManifest = field(repr=False)
    _snapshot_items: tuple[SnapshotItem, ...] = field(repr=False)

    @cached_property
    def json(self) -> Encoded:
        """All of it: manifest and items."""
        manifest = _json(manifest_document(self._manifest))
        items = b",".join(item.body for item in self.by_key.values())
        return Encoded.of(b'{"manifest":' + manifest + b',"items":[' + items + b"]}")

    @cached_property
    def gzipped_json(self) -> Encoded:
        """The same, compressed."""
        return Encoded.of(gzip.compress(self.json.body, _GZIP_LEVEL, mtime=0))

    @cached_property
    def parquet(self) -> Encoded:
        """All of it as a Parquet file, which is compressed in itself."""
        return Encoded.of(parquet_bytes(self._manifest, self._snapshot_items))

    def encode_all(self) -> None:
        """Encode every form now, so that no request waits for it."""
        _ = self.gzipped_json, self.parquet


class VersionLibrary:
    """Gives versions by number, and numbers by alias; used from the event loop.

    Parameters
    ----------
    versions_kept
        Versions kept in memory; the one that was asked for longest ago goes first.
    """

    def __init__(self, database: Database, versions_kept: int) -> None:
        self._database = database
        self._versions_kept = versions_kept
        self._kept: OrderedDict[int, EncodedVersion] = OrderedDict()
        self._aliases: dict[str, tuple[int, float]] = {}
        self._loading = asyncio.Lock()
        self._looking = asyncio.Lock()

    def at_hand(self, version: str) -> EncodedVersion | None:
        """Give a version that is in memory and known to be meant; None where that takes a look."""
        if _NUMBER.fullmatch(version):
            return self._from_memory(int(version))
        number, looked_up = self._aliases.get(version, (0, float("-inf")))
        if time.monotonic() - looked_up > ALIAS_FRESH_SECONDS:
            return None
        return self._from_memory(number)

    def _from_memory(self, number: int) -> EncodedVersion | None:
        found = self._kept.get(number)
        if found is not None and next(reversed(self._kept)) != number:
            self._kept.move_to_end(number)
        return found

    async def number_of(self, version: str) -> int:
        """Give the number of a version that was named by it, or by an alias.

        Raises
        ------
        ApiError
            404: no version can have that number.
        NothingPublishedError
            The alias points at none.
        """
        if _NUMBER.fullmatch(version):
            return _checked(int(version))
        known = self._aliases.get(version)
        if known is not None and time.monotonic() - known[1] <= ALIAS_FRESH_SECONDS:
            return known[0]
        return await self._look_up(version)

    async def _look_up(self, alias: str) -> int:
        async with self._looking:
            started = time.monotonic()
            known = self._aliases.get(alias)
            if known is not None and started - known[1] <= ALIAS_FRESH_SECONDS:
                return known[0]  # another request has looked meanwhile
            number = await run_in_threadpool(find_version, self._database, alias)
            if len(self._aliases) >= _MOST_ALIASES:
                self._aliases.clear()
            self._aliases[alias] = number, started
            return number

    async def get(self, version: str) -> EncodedVersion:
        """Give a version whole, by its number or an alias.

        Raises
        ------
        ApiError
            404: there is no such version.
        NothingPublishedError
            The alias points at none.
        DamagedVersionError
            What is stored isn't what was published.
        """
        number = await self.number_of(version)
        return self._from_memory(number) or await self._load(number)

    async def _load(self, number: int) -> EncodedVersion:
        async with self._loading:  # requests for a new version at once read it once
            if number not in self._kept:
                found = await run_in_threadpool(_encoded, self._database, number)
                while len(self._kept) >= self._versions_kept:
                    self._kept.popitem(last=False)
                self._kept[number] = found
            return self._kept[number]


def version_not_found(number: int) -> ApiError:
    """Give the refusal of a number that no version has."""
    return ApiError(
        404, "VERSION_NOT_FOUND", f"there is no version {number}: GET /v1/versions lists them"
    )


def _checked(number: int) -> int:
    if number > _LARGEST_NUMBER:
        raise version_not_found(number)
    return number


def _encoded(database: Database, number: int) -> EncodedVersion:
    try:
        manifest = read_manifest(database, number)
    except BadInputError:
        raise version_not_found(number) from None
    published = read_version(database, number)
    audit = [
        {"rule": finding.rule, "passed": finding.passed, "detail": finding.detail}
        for finding in read_audit(database, number)
    ]
    by_key = {
        item.key: Encoded.of(_json(document))
        for item, document in zip(
            published.items, item_documents(manifest, published.items), strict=True
        )
    }
    found = EncodedVersion(
        number=number,
        summary=Encoded.of(_json({"manifest": manifest_document(manifest), "audit": audit})),
        # In order of content versions, so that the newest one of an item stays.
        items={key[0]: encoded for key, encoded in by_key.items()},
        by_key=by_key,
        _manifest=manifest,
        _snapshot_items=published.items,
    )
    found.encode_all()
    return found


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
