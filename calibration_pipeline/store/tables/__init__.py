"""SQLAlchemy Core tables of the schema `calibration`, by subject.

The migrations under `store/migrations` create them; a test keeps the two in agreement.
"""

from calibration_pipeline.store.tables.api import api_tokens
from calibration_pipeline.store.tables.bank import (
    anchor_activations,
    anchor_candidates,
    anchor_set_items,
    anchor_sets,
    item_decisions,
    items,
    scales,
)
from calibration_pipeline.store.tables.base import SCHEMA, metadata
from calibration_pipeline.store.tables.calibration import (
    calibration_states,
    flag_decisions,
    flags,
    links,
    night_acceptances,
    run_outcomes,
    runs,
    state_differences,
    state_evaluations,
    state_folds,
    state_items,
    state_scales,
    state_windows,
)
from calibration_pipeline.store.tables.cold_start import cold_start_items
from calibration_pipeline.store.tables.drafts import (
    snapshot_draft_audits,
    snapshot_draft_items,
    snapshot_drafts,
)
from calibration_pipeline.store.tables.exposure import (
    exposure_control_items,
    exposure_controls,
    item_proposals,
)
from calibration_pipeline.store.tables.item_priors import (
    item_prior_draws,
    item_prior_fits,
    item_prior_items,
    item_prior_scales,
)
from calibration_pipeline.store.tables.leaks import (
    leak_detectors,
    leak_items,
    leak_verdicts,
    leak_watches,
)
from calibration_pipeline.store.tables.privacy import (
    archive_deletions,
    privacy_acts,
    pseudonym_keys,
    retention_runs,
    suppressions,
)
from calibration_pipeline.store.tables.publication import (
    alias_moves,
    aliases,
    publication_fence,
    publication_switches,
    snapshot_audits,
    snapshot_items,
    snapshots,
)
from calibration_pipeline.store.tables.responses import (
    archive_revisions,
    candidate_abilities,
    candidate_map,
    import_batches,
    response_log,
    source_checks,
    source_observations,
)

__all__ = [
    "SCHEMA",
    "alias_moves",
    "aliases",
    "anchor_activations",
    "anchor_candidates",
    "anchor_set_items",
    "anchor_sets",
    "api_tokens",
    "archive_deletions",
    "archive_revisions",
    "calibration_states",
    "candidate_abilities",
    "candidate_map",
    "cold_start_items",
    "exposure_control_items",
    "exposure_controls",
    "flag_decisions",
    "flags",
    "import_batches",
    "item_decisions",
    "item_prior_draws",
    "item_prior_fits",
    "item_prior_items",
    "item_prior_scales",
    "item_proposals",
    "items",
    "leak_detectors",
    "leak_items",
    "leak_verdicts",
    "leak_watches",
    "links",
    "metadata",
    "night_acceptances",
    "privacy_acts",
    "pseudonym_keys",
    "publication_fence",
    "publication_switches",
    "response_log",
    "retention_runs",
    "run_outcomes",
    "runs",
    "scales",
    "snapshot_audits",
    "snapshot_draft_audits",
    "snapshot_draft_items",
    "snapshot_drafts",
    "snapshot_items",
    "snapshots",
    "source_checks",
    "source_observations",
    "state_differences",
    "state_evaluations",
    "state_folds",
    "state_items",
    "state_scales",
    "state_windows",
    "suppressions",
]
