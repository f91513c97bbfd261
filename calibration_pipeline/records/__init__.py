"""Frozen records that the layers exchange.

Ids are strings, days are dates of the configured time zone, arrays are NumPy and never written
to. An item is the pair ``(item_id, content_version)``: an edited item is another item. Array
index and item are matched in one place, `ItemBank.positions`.

Item parameters are stated as columns ``(discrimination, difficulty, guessing)``. Internally an
item is φ = (log discrimination, difficulty, logit guessing), see `calibration_pipeline.irt.model`.
"""

from calibration_pipeline.records.anchors import (
    AnchorCandidate,
    AnchorProposal,
    AnchorSet,
)
from calibration_pipeline.records.answers import (
    OUTCOMES,
    AnswerCounts,
    CandidateAbilities,
    DayResponses,
    DayRevision,
    ScreeningCounts,
)
from calibration_pipeline.records.api_tokens import ApiToken, Role
from calibration_pipeline.records.arrays import (
    BoolArray,
    DayArray,
    FloatArray,
    IntArray,
    ItemKey,
)
from calibration_pipeline.records.cold_start import ColdStartItem
from calibration_pipeline.records.exposure import (
    ItemProposals,
    ScaleExposure,
)
from calibration_pipeline.records.flags import (
    FLAG_REASONS,
    Flag,
    FlagCounts,
    FlagDecision,
    FlagEpisode,
    FlagNight,
    FlagReview,
    ItemNight,
)
from calibration_pipeline.records.freshness import Freshness
from calibration_pipeline.records.item_priors import (
    ItemPriorFit,
    ScaleItemPriors,
)
from calibration_pipeline.records.item_story import (
    BankEntry,
    DayAnswers,
    ItemVersion,
    NightDifficulty,
)
from calibration_pipeline.records.items import (
    ItemBank,
    ItemTable,
)
from calibration_pipeline.records.leaks import (
    LeakVerdicts,
    LeakWatch,
)
from calibration_pipeline.records.night_history import (
    AnchorDisplacement,
    AnswersSince,
    ItemEstimate,
    NightFigures,
    NightHistory,
    ObservedProportions,
)
from calibration_pipeline.records.scale_watch import (
    ScaleNight,
    ScaleWatch,
)
from calibration_pipeline.records.snapshots import (
    AuditFinding,
    SnapshotDraft,
    SnapshotItem,
    SnapshotManifest,
)
from calibration_pipeline.records.states import (
    PUBLISHED_NOTHING,
    CalibrationState,
    GroupPopulation,
    ItemDifference,
    NightAcceptance,
    ScaleLink,
    ScaleState,
)

__all__ = [
    "FLAG_REASONS",
    "OUTCOMES",
    "PUBLISHED_NOTHING",
    "AnchorCandidate",
    "AnchorDisplacement",
    "AnchorProposal",
    "AnchorSet",
    "AnswerCounts",
    "AnswersSince",
    "ApiToken",
    "AuditFinding",
    "BankEntry",
    "BoolArray",
    "CalibrationState",
    "CandidateAbilities",
    "ColdStartItem",
    "DayAnswers",
    "DayArray",
    "DayResponses",
    "DayRevision",
    "Flag",
    "FlagCounts",
    "FlagDecision",
    "FlagEpisode",
    "FlagNight",
    "FlagReview",
    "FloatArray",
    "Freshness",
    "GroupPopulation",
    "IntArray",
    "ItemBank",
    "ItemDifference",
    "ItemEstimate",
    "ItemKey",
    "ItemNight",
    "ItemPriorFit",
    "ItemProposals",
    "ItemTable",
    "ItemVersion",
    "LeakVerdicts",
    "LeakWatch",
    "NightAcceptance",
    "NightDifficulty",
    "NightFigures",
    "NightHistory",
    "ObservedProportions",
    "Role",
    "ScaleExposure",
    "ScaleItemPriors",
    "ScaleLink",
    "ScaleNight",
    "ScaleState",
    "ScaleWatch",
    "ScreeningCounts",
    "SnapshotDraft",
    "SnapshotItem",
    "SnapshotManifest",
]
