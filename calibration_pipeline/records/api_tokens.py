"""Tokens of the HTTP service, and what their holders may do."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


class Role(IntEnum):
    """What a token's holder may do; each role may do what those before it may.

    A reader reads what is published and what nights found, an operator starts calibrations and
    decides on flags, an administrator changes what holds for the whole programme.
    """

    READER = 1
    OPERATOR = 2
    ADMINISTRATOR = 3

    @property
    def title(self) -> str:
        """The role as people write it."""
        return self.name.lower()


@dataclass(frozen=True)
class ApiToken:
    """A token as it is kept: whoever reads it can't call with it.

    Attributes
    ----------
    prefix
        The token's first characters, by which people recognise it.
    digest
        SHA-256 of the whole token, in hexadecimal.
    name
        Who holds it, or what for.
    expires_at
        From when on it isn't accepted; None: never.
    revoked_at
        Since when it hasn't been accepted; None: it is.
    last_used_at
        When it was last accepted, to about a minute; None: never yet.
    """

    token_id: int
    prefix: str
    digest: str
    role: Role
    name: str
    issued_by: str
    issued_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Say whether it is accepted at a moment."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
