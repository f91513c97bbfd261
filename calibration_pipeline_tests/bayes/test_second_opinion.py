"""py-irt is asked: seeded, quiet, and it knows an easy item from a hard one."""

import numpy as np
import pytest

pytest.importorskip("py_irt", reason="the extra bayes is not installed")

from calibration_pipeline.bayes.second_opinion import second_opinion
from calibration_pipeline.policy.cross_check_configuration import SecondOpinionConfiguration
from calibration_pipeline.policy.second_opinion import agreement, agrees
from calibration_pipeline_tests.simulated import adaptive_data, draw_items

SETTINGS = SecondOpinionConfiguration(least_answers=20, least_items=10)


def posed(n_sessions: int) -> tuple[np.ndarray, object]:
    generator = np.random.default_rng(2)
    truth = draw_items(41, generator, "2PL")
    # The last item is never shown.
    data = adaptive_data(truth[:40], generator.normal(size=n_sessions), generator, pool_share=1.0)
    return truth, type(data)(data.session_offsets, data.item, data.correct, 41)


@pytest.mark.filterwarnings("error")
def test_it_is_seeded_and_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    _, data = posed(60)
    first, again = (second_opinion(data, epochs=5, seed=3) for _ in range(2))
    assert first.difficulty.tobytes() == again.difficulty.tobytes()
    assert second_opinion(data, epochs=5, seed=4).difficulty.tobytes() != first.difficulty.tobytes()
    assert np.isnan(first.difficulty[40])
    assert np.isfinite(first.difficulty[:40]).all()
    assert (first.discrimination[:40] > 0).all()
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_it_agrees_with_the_truth_and_not_with_another_pool() -> None:
    truth, data = posed(400)
    found = second_opinion(data, epochs=400, seed=3)
    said = found.discrimination, found.difficulty
    by_truth = agreement(data, truth, *said, SETTINGS, 1.0)
    assert by_truth is not None
    assert agrees(by_truth, SETTINGS)
    other = agreement(data, truth[::-1], *said, SETTINGS, 1.0)
    assert other is not None
    assert not agrees(other, SETTINGS)
