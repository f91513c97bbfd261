"""Digests: the same for the same content, different for anything else."""

import numpy as np
import pytest

from calibration_pipeline.store.canonical import digest_of


def test_equal_content_has_one_digest() -> None:
    floats = np.array([1.0, np.nan, 0.0])
    other_nan = np.frombuffer(np.array([0x7FF8000000000001], "<u8").tobytes(), "<f8")[0]
    same = np.array([1.0, other_nan, -0.0])
    assert digest_of("a", floats) == digest_of("a", same)
    assert digest_of(np.arange(3, dtype=np.int32)) == digest_of(np.arange(3, dtype=np.int64))
    assert digest_of(floats[::2]) == digest_of(floats[::2].copy())


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (("ab", "c"), ("a", "bc")),
        ((["a", "b"],), (["ab"],)),
        ((["a", None],), (["a", ""],)),
        (("1",), (1,)),
        ((1,), (1.0,)),
        ((None,), ("none",)),
        ((np.zeros((2, 3)),), (np.zeros((3, 2)),)),
        ((np.zeros(2),), (np.zeros(2, np.int64),)),
    ],
)
def test_different_content_has_different_digests(left: tuple, right: tuple) -> None:  # type: ignore[type-arg]
    assert digest_of(*left) != digest_of(*right)
