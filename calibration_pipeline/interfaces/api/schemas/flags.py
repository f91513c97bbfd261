"""Flags, their evidence, and decisions on them."""

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from calibration_pipeline.interfaces.api.schemas.common import Schema, ShortText

_UNIT = "in the unit of what `reason` is about: of θ for difficulty, else a pure number"
_VALUE = f"What was found, {_UNIT}."
_REFERENCE = f"What it was compared with, {_UNIT}."
_THRESHOLD = f"The limit that was crossed, {_UNIT}."
_Z = "The evidence, in standard errors (a pure number); its sign says in which direction."


class FlagDocument(Schema):
    """One flag of an item, as it stands now."""

    item: str = Field(description="The item, as `calibrate flags` names it.")
    item_id: str = Field(description="The item.")
    content_version: int = Field(description="Which wording of the item, from 1.")
    reason: str = Field(description="Kind of flag, such as `reference_drift` (docs/flags.md).")
    status: Literal["open", "acknowledged", "dismissed", "resolved", "retired"] = Field(
        description="How it stands with the reviewers."
    )
    since: date = Field(description="Night from which it stands so (ISO 8601).")
    opened_on: date = Field(description="Its first night (ISO 8601).")
    last_seen: date = Field(description="The newest night that found it (ISO 8601).")
    nights_seen: int = Field(description="Number of nights that found it.")
    resolved_on: date | None = Field(description="Night on which it was over; null if it lasts.")
    value: float | None = Field(description=_VALUE)
    reference: float | None = Field(description=_REFERENCE)
    threshold: float | None = Field(description=_THRESHOLD)
    compared_with: str = Field(description="What `reference` is, in words.")
    compared_on: date | None = Field(description="Night or day it is of (ISO 8601), if of one.")
    z: float | None = Field(description=_Z)
    is_credible: bool = Field(description="Whether it is more than chance.")
    explanation: str = Field(description="The finding in words.")
    decision: str | None = Field(description="The decision that holds; null if there is none.")
    decided_by: str | None = Field(description="Who made it.")
    decision_reason: str | None = Field(description="Why.")


class FlagPage(Schema):
    """A page of flags, the strongest evidence first."""

    night: date | None = Field(
        description="The newest night that judged items (ISO 8601); null before the first."
    )
    total: int = Field(description="Number of flags that the query chose, on all pages.")
    flags: list[FlagDocument] = Field(description="Those on this page.")


class Evidence(Schema):
    """What one night found of an item."""

    night: date = Field(description="The night (ISO 8601).")
    reason: str = Field(description="Kind of flag.")
    value: float | None = Field(description=_VALUE)
    reference: float | None = Field(description=_REFERENCE)
    compared_with: str = Field(description="What `reference` is, in words.")
    compared_on: date | None = Field(description="Night or day it is of (ISO 8601), if of one.")
    threshold: float | None = Field(description=_THRESHOLD)
    z: float | None = Field(description=_Z)
    is_credible: bool = Field(description="Whether it is more than chance.")
    explanation: str = Field(description="The finding in words.")


class Decision(Schema):
    """A decision that was made."""

    decided_at: datetime = Field(description="When (ISO 8601, UTC).")
    decision: str = Field(description="`acknowledge`, `dismiss`, `reopen` or `retire`.")
    about: str = Field(description="The flag, or `the item`.")
    holds_from: date = Field(
        description="For a flag, the newest night that the reviewer had seen; for the item, the "
        "first night it holds for (ISO 8601)."
    )
    decided_by: str = Field(description="Who.")
    reason: str = Field(description="Why.")


class ItemFlags(Schema):
    """All flags of one item, with the evidence of every night and the decisions."""

    item_id: str = Field(description="The item.")
    content_version: int = Field(description="Which wording of the item, from 1.")
    flags: list[FlagDocument] = Field(description="How each kind of flag stands.")
    evidence: list[Evidence] = Field(description="Every night's findings, oldest first.")
    decisions: list[Decision] = Field(description="In the order in which they were made.")


class DecisionRequest(Schema):
    """A decision on an item's flags, or on the item."""

    decision: Literal["acknowledge", "dismiss", "reopen", "retire"] = Field(
        description="`acknowledge`: seen, stays open. `dismiss`: silent until the evidence grows. "
        "`retire`: the item is frozen as published. `reopen`: takes those back."
    )
    reason: ShortText = Field(description="Why, for the record.")
    flag: str | None = Field(
        default=None, description="One of the item's flags; null: all that stand so."
    )
    content_version: int | None = Field(
        default=None,
        ge=1,
        le=2**31 - 1,
        description="Which wording of the item; null: the newest that the bank has.",
    )
    first_night: date | None = Field(
        default=None,
        description="First night that retiring, or taking it back, holds for (ISO 8601); null: "
        "the one after the newest.",
    )


class DecisionMade(Schema):
    """What was decided."""

    item_id: str = Field(description="The item.")
    content_version: int = Field(description="Which wording of the item.")
    decision: str = Field(description="The decision.")
    flags: list[str] = Field(description="The flags it is about; empty if about the item.")
    night: date = Field(
        description="For flags, the newest night; for the item, the first night it holds for "
        "(ISO 8601)."
    )
    decided_by: str = Field(description="Who: the name of the token.")
