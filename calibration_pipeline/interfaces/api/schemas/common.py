"""What every route shares: the body of errors."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Schema(BaseModel):
    """Base of everything that is sent or given: no field that isn't described."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ContractRequest(BaseModel):
    """Base of what callers of other services' contracts send.

    Those services pass over fields that they don't know, and read "100" as 100: so does this one.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)


ShortText = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        min_length=1,
        max_length=2000,
        pattern=r"^[^\x00]*$",  # which PostgreSQL can't keep
    ),
]
"""What people write for the record."""


class ErrorDetail(Schema):
    """Why a request was refused."""

    code: str = Field(description="For programs; it stays the same for one kind of error.")
    message: str = Field(description="For people: what is wrong, and what to do. One line.")
    request_id: str = Field(description="What the service's log knows the request by.")


class ErrorBody(Schema):
    """The body of every error."""

    data: None = Field(default=None, description="Always null beside an error.")
    error: ErrorDetail = Field(description="Why the request was refused.")
    detail: str = Field(
        default="",
        description="The message once more, where callers of the question bank look for it; only "
        "below `/v1/admin/exposure/`.",
    )
