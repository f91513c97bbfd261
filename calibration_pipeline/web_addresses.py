"""Whether a text is an address that the program can call."""

from urllib.parse import urlsplit

WHAT_IS_WANTED = (
    "not a web address that begins with https:// or http://, without user, password, spaces and "
    "other special characters that aren't percent-encoded"
)
"""Completes "CALIBRATION_… is"; never with the address, which may hold a secret."""


def can_be_called(url: str) -> bool:
    """Whether a text is a plain web address without a user and a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # its text quotes the address
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url
    is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0
    # The library that posts takes a user's name for a part of the host.
    return is_plain and is_web and "@" not in parts.netloc
