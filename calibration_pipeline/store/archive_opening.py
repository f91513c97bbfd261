"""From the setting that says where the archive is to the archive."""

from pathlib import Path
from typing import Any

from calibration_pipeline.errors import ArchiveUnavailableError, BadInputError
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.archive_folder import ArchiveFolder
from calibration_pipeline.store.archive_objects import ArchiveObjects, reason_of
from calibration_pipeline.store.archive_url import LOCAL

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""Which extra of the project brings what a kind of address needs."""
_NOT_KEPT = frozenset({"memory", "http", "https", "data"})
"""Kinds of address under which nothing is kept, or nothing can be written."""


def open_archive(place: str, minimum_free_bytes: int = 0) -> Archive:
    """Open the archive in a folder, or under a URL that fsspec knows. Nothing is contacted yet.

    Parameters
    ----------
    place
        An absolute path, or a URL such as ``s3://bucket/prefix``. Credentials are in the
        environment, where the store's own library looks for them.
    minimum_free_bytes
        As for `Archive`.

    Raises
    ------
    BadInputError
        The kind of address is unknown, can't keep an archive, or needs a package that is missing.
    """
    scheme, separator, rest = place.partition("://")
    if not separator:
        return Archive(ArchiveFolder(Path(place)), minimum_free_bytes)
    if scheme in LOCAL:
        return Archive(ArchiveFolder(Path(rest)), minimum_free_bytes)
    return Archive(open_objects(scheme, place), minimum_free_bytes)


def open_objects(scheme: str, url: str) -> ArchiveObjects:
    """Open an object store by the name that fsspec has for it; errors as `open_archive`."""
    # Here, and not above: an archive in a folder needs none of it.
    import fsspec

    if scheme in _NOT_KEPT:
        raise BadInputError(
            f"CALIBRATION_ARCHIVE can't be a {scheme}:// address, under which no archive is kept: "
            "name a folder, or a bucket as in s3://bucket/prefix"
        )
    try:
        kind = fsspec.get_filesystem_class(scheme)
    except ValueError:
        raise BadInputError(
            f"CALIBRATION_ARCHIVE has an address of an unknown kind, {scheme}://: name a folder, "
            "or a bucket as in s3://bucket/prefix or gs://bucket/prefix"
        ) from None
    except ImportError:
        extra = _EXTRAS.get(scheme)
        what = (
            f"'calibration-pipeline[{extra}]'" if extra else f"the fsspec package for {scheme}://"
        )
        raise BadInputError(
            f"an archive under {scheme}:// needs a package that isn't installed: pip install {what}"
        ) from None
    return ArchiveObjects(_connected(kind, url), kind._strip_protocol(url), url)


def _connected(kind: Any, url: str) -> Any:
    try:
        # A listing from before another run's upload would hide what is there.
        return kind(use_listings_cache=False, skip_instance_cache=True)
    except Exception as error:  # each store's library has errors of its own
        raise ArchiveUnavailableError(
            f"the archive {url} can't be opened ({reason_of(error)}): correct the credentials in "
            "the environment"
        ) from error
