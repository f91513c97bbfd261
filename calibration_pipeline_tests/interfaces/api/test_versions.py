"""Published versions over HTTP: what is in force, whole, validators, formats."""

import asyncio
import gzip
import io
import json
from dataclasses import replace
from typing import Any

import pyarrow.parquet
import pytest

from calibration_pipeline.interfaces.api import version_library
from calibration_pipeline.interfaces.api.version_library import EncodedVersion, VersionLibrary
from calibration_pipeline.store import aliases
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.snapshot_files import MANIFEST_KEY
from calibration_pipeline_tests.interfaces.api.service import Service, wait_until

PARQUET = "application/vnd.apache.parquet"


def test_versions_are_listed_page_by_page(reading: Service) -> None:
    first = reading.get("/v1/versions?limit=1").json
    assert [(v["version"], v["is_current"]) for v in first["versions"]] == [(2, True)]
    second = reading.get(f"/v1/versions?limit=1&before={first['next_before']}").json
    assert [v["version"] for v in second["versions"]] == [1]
    assert second["next_before"] is None


def test_a_snapshot_is_the_same_by_number_by_alias_and_in_every_format(reading: Service) -> None:
    by_number = reading.get("/v1/versions/2/snapshot")
    by_alias = reading.get("/v1/versions/current/snapshot")
    packed = reading.get("/v1/versions/2/snapshot", headers={"Accept-Encoding": "gzip"})
    assert by_number.body == by_alias.body == gzip.decompress(packed.body)
    assert packed.headers["content-encoding"] == "gzip"
    document = by_number.json
    assert document["manifest"]["version"] == 2
    assert len(document["items"]) == 6
    table = pyarrow.parquet.read_table(
        io.BytesIO(reading.get("/v1/versions/2/snapshot?format=parquet").body)
    )
    assert json.loads(table.schema.metadata[MANIFEST_KEY]) == document["manifest"]
    rows = [row | {"guessing_se": _plain(row["guessing_se"])} for row in table.to_pylist()]
    assert rows == document["items"]


def _plain(value: float) -> float | None:
    return value if value == value else None


@pytest.mark.parametrize(
    ("accept", "kind"),
    [(PARQUET, PARQUET), (f"{PARQUET}, */*", PARQUET), ("*/*", "application/json")],
)
def test_the_format_follows_accept(reading: Service, accept: str, kind: str) -> None:
    found = reading.get("/v1/versions/2/snapshot", headers={"Accept": accept})
    assert found.headers["content-type"] == kind
    assert "accept" in found.headers["vary"].lower()


def test_what_nobody_can_give_is_refused(reading: Service) -> None:
    refused = reading.get("/v1/versions/2/snapshot", headers={"Accept": "text/csv"})
    assert (refused.status, refused.code) == (406, "NOT_ACCEPTABLE")


def test_an_item_is_given_in_its_newest_wording_or_the_one_asked_for(reading: Service) -> None:
    newest = reading.get("/v1/versions/2/items/i0").json
    assert (newest["content_version"], newest["difficulty"]) == (2, 1.5)
    assert newest["guessing_se"] is None
    items = reading.get("/v1/versions/2/snapshot").json["items"]
    assert newest in items
    first = reading.get("/v1/versions/2/items/i0?content_version=1").json
    assert first in items
    assert first["content_version"] == 1
    assert reading.get("/v1/versions/2/items/maths%2F%C3%84%201").json["item_id"] == "maths/Ä 1"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/versions/3", 404, "VERSION_NOT_FOUND"),
        ("/v1/versions/9999999999/snapshot", 404, "VERSION_NOT_FOUND"),
        ("/v1/versions/nightly/snapshot", 404, "NOTHING_PUBLISHED"),
        ("/v1/versions/0", 400, "VALIDATION_ERROR"),
        ("/v1/versions/02/items/i1", 400, "VALIDATION_ERROR"),
        ("/v1/versions/%D9%A2/items/i1", 400, "VALIDATION_ERROR"),
        ("/v1/versions/2/items/none", 404, "ITEM_NOT_FOUND"),
        ("/v1/versions/2/items/i0?content_version=9", 404, "ITEM_NOT_FOUND"),
        ("/v1/versions/2/snapshot?format=csv", 400, "VALIDATION_ERROR"),
        ("/v1/versions/2/items/i0%00", 400, "VALIDATION_ERROR"),
        ("/v1/nothing", 404, "NOT_FOUND"),
    ],
)
def test_what_is_not_there(reading: Service, path: str, status: int, code: str) -> None:
    found = reading.get(path)
    assert (found.status, found.code) == (status, code)
    assert found.json["error"]["request_id"] == found.headers["x-request-id"]


@pytest.mark.parametrize("path", ["", "/snapshot", "/snapshot?format=parquet", "/items/i0"])
def test_a_number_is_kept_for_ever_and_an_alias_asked_for_again(
    reading: Service, path: str
) -> None:
    by_number, by_alias = (reading.get(f"/v1/versions/{name}{path}") for name in ("2", "current"))
    assert "immutable" in by_number.headers["cache-control"]
    assert by_alias.headers["cache-control"] == "private, no-cache"
    assert by_alias.headers["x-calibration-version"] == "2"
    etag = by_number.headers["etag"]
    assert etag == by_alias.headers["etag"]
    assert not etag.startswith("W/")
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = reading.get(f"/v1/versions/current{path}", headers={"If-None-Match": known})
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == etag
    changed = reading.get(f"/v1/versions/1{path}", headers={"If-None-Match": etag})
    assert changed.status == 200


def test_the_versions_asked_for_last_stay_in_memory(
    own_reading: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However they are asked for: an engine that is pinned asks for single items alone."""
    read = list[int]()
    encoded = version_library._encoded

    def noted(database: Database, number: int) -> EncodedVersion:
        read.append(number)
        return replace(encoded(database, min(number, 2)), number=number)

    monkeypatch.setattr(version_library, "_encoded", noted)

    async def ask() -> None:
        library = VersionLibrary(open_engine(own_reading.database_url), versions_kept=2)
        for number in ("1", "2"):
            await library.get(number)
        assert library.at_hand("1") is not None
        await library.get("3")
        assert library.at_hand("1") is not None
        assert library.at_hand("2") is None

    asyncio.run(ask())
    assert read == [1, 2, 3]


def test_every_form_has_a_validator_of_its_own(reading: Service) -> None:
    path = "/v1/versions/2/snapshot"
    forms: list[dict[str, Any]] = [{}, {"Accept-Encoding": "gzip"}, {"Accept": PARQUET}]
    assert len({reading.get(path, headers=form).headers["etag"] for form in forms}) == 3
    refused = reading.get(path, headers={"Accept-Encoding": "gzip;q=0, *;q=0"})
    assert "content-encoding" not in refused.headers


def test_exposure_is_given_by_item_and_level(reading: Service) -> None:
    (scale,) = reading.get("/v1/versions/2/exposure").json["scales"]
    assert len(scale["cuts"]) == 2
    assert [item["item_id"] for item in scale["items"]] == ["i0", "i1", "i2", "i3"]
    assert all(len(item["probability"]) == 3 for item in scale["items"])
    assert reading.get("/v1/versions/1/exposure").json == {"version": 1, "scales": []}


def test_a_promotion_is_seen_within_a_moment(own_reading: Service) -> None:
    assert own_reading.get("/v1/versions/current").json["manifest"]["version"] == 2
    engine = open_engine(own_reading.database_url)
    aliases.promote(engine, 1, moved_by="a test", reason="to see it")
    engine.dispose()
    # An alias is a second old at most; the rest of the wait is for a busy machine.
    wait_until(
        lambda: own_reading.get("/v1/versions/current").headers["x-calibration-version"] == "1"
    )
    assert own_reading.get("/v1/versions/2").status == 200
