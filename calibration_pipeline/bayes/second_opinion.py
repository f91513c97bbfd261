"""py-irt's difficulties and discriminations for a sample of the night's answers.

An implementation that shares nothing with ours: variational inference in Pyro of a 2PL with
hierarchical priors (its 3PL's guessing is noise). Its scale is its own.

Source: Lalor & Rodriguez (2023), py-irt: a scalable item response theory library for Python,
*INFORMS Journal on Computing* 35, 5–13.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.model import FloatArray
from calibration_pipeline.irt.responses import ResponseData

_LEARNING_RATE = 0.1
_DECAY = 0.998


@dataclass(frozen=True)
class SecondOpinion:
    """What py-irt makes of the items, on its own scale.

    Attributes
    ----------
    discrimination, difficulty
        ``(n_items,)``; NaN for items without an answer.
    """

    discrimination: FloatArray
    difficulty: FloatArray


def second_opinion(data: ResponseData, epochs: int, seed: int) -> SecondOpinion:
    """Fit py-irt's hierarchical 2PL; the same seed gives the same values.

    Parameters
    ----------
    data
        The answers; each session is a person to py-irt. Weights and populations are not for it.
    epochs
        Steps of its optimiser.
    seed
        Of Pyro's generator, since py-irt passes over its own setting.
    """
    with _quiet():
        import pyro
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        pyro.set_rng_seed(seed)
        try:
            return _fit(data, epochs)
        finally:
            torch.set_num_threads(threads)
            pyro.clear_param_store()


def _fit(data: ResponseData, epochs: int) -> SecondOpinion:
    from py_irt.config import IrtConfig
    from py_irt.dataset import Dataset
    from py_irt.training import IrtModelTrainer

    answered = np.flatnonzero(data.item_counts)
    place = np.cumsum(data.item_counts > 0) - 1
    items, sessions = [str(j) for j in answered], [str(s) for s in range(data.n_sessions)]
    of_answer = np.repeat(np.arange(data.n_sessions), np.diff(data.session_offsets))
    dataset = Dataset(
        item_ids=set(items),
        subject_ids=set(sessions),
        item_id_to_ix={name: j for j, name in enumerate(items)},
        ix_to_item_id=dict(enumerate(items)),
        subject_id_to_ix={name: s for s, name in enumerate(sessions)},
        ix_to_subject_id=dict(enumerate(sessions)),
        observation_subjects=of_answer.tolist(),
        observation_items=place[data.item].tolist(),
        observations=data.correct.astype(float).tolist(),
        training_example=[True] * data.n_responses,
    )
    configuration = IrtConfig(
        model_type="2pl",
        priors="hierarchical",
        epochs=epochs,
        lr=_LEARNING_RATE,
        lr_decay=_DECAY,
    )
    trainer = IrtModelTrainer(data_path=None, config=configuration, dataset=dataset, verbose=False)
    trainer.train(device="cpu")
    # The last step's: of a noisy loss the least one says little.
    found = trainer.last_params
    discrimination, difficulty = np.full((2, data.n_items), np.nan)
    discrimination[answered], difficulty[answered] = found["disc"], found["diff"]
    return SecondOpinion(discrimination, difficulty)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep its tables, and warnings about the libraries under it, out of the run's log."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
