"""What every route shares: the body of errors."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Schema(BaseModel):
    """Base of everything that is sent or given: no field that isn't described."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
