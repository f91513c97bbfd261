"""Digests of what a night computed, without ids of runs, times or triggers."""

import hashlib
from dataclasses import fields, replace
from typing import Any

import numpy as np

from calibration_pipeline.records import CalibrationState


def digest_of(*parts: Any) -> str:
    """SHA-256 of arrays (their bytes and shapes) and of anything else's `repr`."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            sha.update(repr((part.shape, part.dtype.str)).encode())
            sha.update(np.ascontiguousarray(part).tobytes())
        else:
            sha.update(repr(part).encode())
        sha.update(b"\0")
    return sha.hexdigest()


def with_digest(state: CalibrationState) -> CalibrationState:
    """Fill in the state's digest.

    The attempt and the stored numbers of the anchor set and of the item priors are left out (what
    they say is in the parameters and the base priors): the same answers and configuration give the
    same digest at any attempt, on any machine with the same kind of processor.
    """
    left_out = {"attempt", "anchor_set_id", "item_prior_fit", "digest", "parent"}
    content = [getattr(state, f.name) for f in fields(state) if f.name not in left_out]
    parent_partition = state.parent[0] if state.parent else None
    return replace(state, digest=digest_of(parent_partition, *content))
