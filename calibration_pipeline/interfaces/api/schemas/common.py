"""What every route shares: the body of errors."""

from pydantic import BaseModel, ConfigDict, Field


class Schema(BaseModel):
    """Base of everything that is sent or given: no field that isn't described."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ErrorDetail(Schema):
    """Why a request was refused."""

    code: str = Field(description="For programs; it stays the same for one kind of error.")
    message: str = Field(description="For people: what is wrong, and what to do. One line.")
    request_id: str = Field(description="What the service's log knows the request by.")


class ErrorBody(Schema):
    """The body of every error."""

    data: None = Field(default=None, description="Always null beside an error.")
    error: ErrorDetail = Field(description="Why the request was refused.")
