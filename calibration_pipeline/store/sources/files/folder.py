"""Which files of a folder hold answers, and whether one of them has changed since it was listed."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from calibration_pipeline.errors import SourceError, SourceUnavailableError

DELIMITERS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
PARQUET_SUFFIXES = (".parquet", ".pq")
SUFFIXES = (*DELIMITERS, *PARQUET_SUFFIXES)

_WANTED = "a CSV or Parquet file, or a folder of them"
_MEND = f"set CALIBRATION_SOURCE__PATH to {_WANTED}"


@dataclass(frozen=True)
class SourceFile:
    """A file as it was when it was listed.

    Attributes
    ----------
    path
        Where it is.
    name
        Its path below the source's folder, with ``/``; for a single file its name.
    size
        Bytes.
    modified_ns
        Nanoseconds since 1970 UTC at which it was last written to, by its own disk's clock.
    inode
        Tells a file that took its place from the file itself.
    """

    path: Path
    name: str
    size: int
    modified_ns: int
    inode: int

    @property
    def shown_name(self) -> str:
        """Its name as a message may show it: on one line, whatever characters are in it."""
        return shown(self.name)

    @property
    def suffix(self) -> str:
        """The one of `SUFFIXES` with which it ends; empty if none."""
        return _suffix_of(self.name)

    def require_unchanged(self) -> None:
        """Refuse what was read of a file that has been written to, replaced or removed meanwhile.

        Raises
        ------
        SourceUnavailableError
            Another try may do.
        """
        try:
            found = self.path.lstat()
            is_same = (found.st_size, found.st_mtime_ns, found.st_ino) == (
                self.size,
                self.modified_ns,
                self.inode,
            )
        except FileNotFoundError:
            is_same = False
        except OSError as error:
            raise SourceUnavailableError(
                f"{self.shown_name} can't be looked at ({error.strerror}): try again when its disk "
                "is there"
            ) from error
        if not is_same:
            raise SourceUnavailableError(
                f"{self.shown_name} was changed or removed while it was read: try again; write "
                "files under another name (such as .tmp) and rename them when they are whole"
            )


@dataclass(frozen=True)
class Listing:
    """The files of a source, by name, and the symbolic links that were passed over."""

    files: tuple[SourceFile, ...]
    links: tuple[str, ...] = ()


def list_files(path: Path) -> Listing:
    """List the files of answers at a path.

    A folder is searched with the folders below it. Passed over are names that begin with a dot or
    an underscore, other suffixes than `SUFFIXES` (so ``.tmp``, ``.part`` and ``.crc``), and what
    isn't a regular file. Links below the folder are not followed: one that leads out of it would
    show files that nobody meant, and one that stays within shows files that are there already.
    The path itself may be a link.

    Raises
    ------
    SourceError
        There is no such path, it can't be read, or it holds no file of answers.
    """
    try:
        root = path.resolve()
        is_folder = stat.S_ISDIR(root.stat().st_mode)
        listing = _listing(root) if is_folder else Listing((_single_file(path, root),))
    except FileNotFoundError as error:
        raise SourceError(f"{shown(str(path))} doesn't exist: {_MEND}") from error
    except (OSError, RuntimeError) as error:  # a loop of links
        reason = getattr(error, "strerror", None) or "a link that leads to itself"
        raise SourceError(
            f"{shown(str(path))} can't be read ({reason}): give the pipeline's user the right to "
            f"read it, or {_MEND}"
        ) from error
    if not listing.files:
        raise SourceError(
            f"{shown(str(path))} holds no file that ends in {', '.join(SUFFIXES)}: put files of "
            "answers there, or correct CALIBRATION_SOURCE__PATH"
        )
    return listing


def _listing(root: Path) -> Listing:
    files, links = [], []
    for folder, name in _entries(root):
        path = Path(folder, name)
        relative = path.relative_to(root).as_posix()
        if path.is_symlink():
            links.append(relative)
        elif _suffix_of(name):
            try:
                found = path.lstat()
            except FileNotFoundError:  # removed since its folder was read: not part of this view
                continue
            if stat.S_ISREG(found.st_mode):
                files.append(_as_found(path, relative, found))
    files.sort(key=lambda file: file.name)
    return Listing(tuple(files), tuple(sorted(links)))


def _entries(root: Path) -> Iterator[tuple[str, str]]:
    """Give the folder and the name of each visible file and link below a folder."""

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(root, onerror=fail):
        folders[:] = sorted(name for name in folders if _is_visible(name))
        linked = (name for name in folders if Path(folder, name).is_symlink())
        for name in (*names, *linked):
            if _is_visible(name):
                yield folder, name


def _single_file(path: Path, root: Path) -> SourceFile:
    found = root.stat()
    if not stat.S_ISREG(found.st_mode) or not _suffix_of(root.name):
        raise SourceError(
            f"{shown(str(path))} doesn't end in {', '.join(SUFFIXES)}, or is no file: {_MEND}"
        )
    return _as_found(root, root.name, found)


def _as_found(path: Path, name: str, found: os.stat_result) -> SourceFile:
    return SourceFile(path, name, found.st_size, found.st_mtime_ns, found.st_ino)


def _is_visible(name: str) -> bool:
    return not name.startswith((".", "_"))


def _suffix_of(name: str) -> str:
    return next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")


def shown(name: str) -> str:
    """Give a name with what can't be printed replaced."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)
