"""Columns of what is about sessions: answers and abilities."""

from calibration_pipeline.orchestration.catalogue.columns import NIGHT, Column

RESPONSES = (
    Column("session_ordinal", "int32", "Counts the day's sessions, in order of their start."),
    Column("candidate_ordinal", "int32", "Counts the day's candidates."),
    Column("session_pseudonym", "fixed_size_binary[16]", "Keyed hash of the session's id."),
    Column("candidate_pseudonym", "fixed_size_binary[16]", "Keyed hash of the candidate's id: the "
           "same person has the same one on every day."),
    Column("session_started_at", "timestamp[us, tz=UTC]", "Start of the session. Its local day is "
           "the day that all of its answers belong to."),
    Column("item_id", "string", "The item that was answered."),
    Column("content_version", "int32", "Which version of the item's content."),
    Column("score", "int16", "1 right, 0 wrong; empty where the outcome is not a score.",
           nullable=True),
    Column("answered_at", "timestamp[us, tz=UTC]", "When it was answered."),
    Column("position", "int32", "Place of the answer in its session, from 1.", nullable=True),
    Column("time_on_task_ms", "int32", "Time from the item's presentation to the answer.",
           "milliseconds", nullable=True),
    Column("option_selected", "string", "Which option was chosen.", nullable=True),
    Column("theta_at_presentation", "double", "What the test engine took the ability for when it "
           "chose the item. Never fitted against.", "theta", nullable=True),
    Column("population_group", "string", "Group of candidates, such as a country.", nullable=True),
    Column("engine_version", "string", "Version of the test engine.", nullable=True),
    Column("outcome", "string", "scored, omitted, not_reached or invalid; empty counts as scored.",
           nullable=True),
)  # fmt: skip

ABILITIES = (
    NIGHT,
    Column("scale", "text", "The sub-skill or exam that the ability is of."),
    Column("session_pseudonym", "bytea", "Keyed hash of the session's id.",
           origins=("responses.session_pseudonym",)),
    Column("candidate_pseudonym", "bytea", "Keyed hash of the candidate's id.",
           origins=("responses.candidate_pseudonym",)),
    Column("version", "integer", "The published version whose items it was scored with.",
           origins=("calibration_snapshot.version",), nullable=True),
    Column("theta", "double precision", "Ability: the mean of what the answers leave possible.",
           "theta", ("responses.score", "calibration_snapshot.discrimination",
                     "calibration_snapshot.difficulty", "calibration_snapshot.guessing")),
    Column("theta_se", "double precision", "Its standard error.", "theta",
           ("responses.score", "calibration_snapshot.discrimination",
            "calibration_snapshot.difficulty", "calibration_snapshot.guessing")),
    Column("response_count", "integer", "Answers of the session that it rests on.", "answers",
           ("responses.item_id",)),
    Column("recorded_at", "timestamptz", "When it was stored."),
)  # fmt: skip
