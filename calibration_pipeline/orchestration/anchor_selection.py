"""The job that selects an anchor set, for the data lead to launch from Dagster's web interface.

Not scheduled, and an op rather than an asset: a set is proposed when somebody asks for one, and put
in force by a person with `calibrate anchors activate`.
"""

from datetime import date

import dagster as dg

from calibration_pipeline.orchestration.anchor_proposals import propose_anchors
from calibration_pipeline.orchestration.assets.common import POOL
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.store.calibration_store import CalibrationStore

JOB = "anchor_selection"


class AnchorSelectionConfig(dg.Config):
    """Which night to select from: an ISO date, or nothing for the newest accepted one."""

    as_of: str | None = None


def anchor_selection_job() -> dg.JobDefinition:
    """Build the job."""

    @dg.op(pool=POOL, out=dg.Out(dg.Nothing))
    def select_anchor_set(
        context: dg.OpExecutionContext,
        config: AnchorSelectionConfig,
        store: dg.ResourceParam[CalibrationStore],
        configuration: dg.ResourceParam[CalibrationConfiguration],
    ) -> None:
        """Proposes an anchor set from the newest accepted night.

        No night uses it before a person activates it.
        """
        found = propose_anchors(
            store.engine,
            configuration,
            proposed_by=f"Dagster run {context.run_id}",
            as_of=date.fromisoformat(config.as_of) if config.as_of else None,
        )
        number, proposal = found.anchor_set_id, found.proposal
        kept = sum(item.is_chosen and item.is_present for item in proposal.candidates)
        context.add_output_metadata(
            {
                "anchor set": number,
                "night": str(proposal.night),
                "anchors": len(proposal.keys),
                "anchors before that stay": kept,
                **{f"scale {name}": remark for name, remark in proposal.remarks.items()},
                "next": dg.MetadataValue.md(
                    f"`calibrate anchors show {number}`, then "
                    f"`calibrate anchors activate {number} --reason TEXT`"
                ),
            }
        )

    @dg.job(
        name=JOB,
        executor_def=dg.in_process_executor,
        description="Proposes an anchor set; nothing changes before a person activates it.",
    )
    def anchor_selection() -> None:
        select_anchor_set()

    return anchor_selection
