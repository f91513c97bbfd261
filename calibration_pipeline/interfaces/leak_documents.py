"""What the leak watch says of an item, as the command line prints it."""

import math
from typing import Any

from calibration_pipeline.records import ItemKey, LeakVerdicts


def leak_document(keys: tuple[ItemKey, ...], verdicts: LeakVerdicts, j: int) -> dict[str, Any]:
    """One item as a flat row; what is infinite is unknown."""
    source = int(verdicts.alarm_item[j])
    values = {name: getattr(verdicts, name)[j].item() for name in verdicts.__dataclass_fields__}
    del values["alarm_item"]
    plain = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
    item_id, version = keys[j]
    return {
        "item": item_id if version == 1 else f"{item_id}@{version}",
        "item_id": item_id,
        "content_version": version,
        "alarm_of": None if source < 0 else keys[source][0],
        "is_left_out": source == j,
        **plain,
    }
