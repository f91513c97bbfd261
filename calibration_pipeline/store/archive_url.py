"""Which URLs can say where the archive is: an address alone, which can be shown and logged."""

from urllib.parse import urlsplit

LOCAL = frozenset({"file", "local"})
"""Kinds of address that stand for a folder of this machine."""


def require_plain(url: str) -> str:
    """Refuse a URL that holds more than an address; give it without a slash at its end.

    Its value stays out of the messages: it may hold a key, which belongs into the environment.

    Raises
    ------
    ValueError
        It has a user, a key, a port, options, no bucket, or characters that no address has.
    """
    parts = urlsplit(url)
    if any(sign in parts.netloc for sign in "@:") or parts.query or parts.fragment:
        raise ValueError(
            "a URL with a user, a key or options: give the bucket and the prefix alone, as in "
            "s3://bucket/prefix, and the credentials in the variables of the store's own library"
        )
    if not parts.netloc:
        raise ValueError("a URL without a bucket: write it as in s3://bucket/prefix")
    if "::" in url or not url.isprintable() or " " in url:
        raise ValueError("no plain URL: write it as in s3://bucket/prefix")
    return url.rstrip("/")
