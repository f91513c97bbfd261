"""py-irt's hierarchical 3PL by stochastic variational inference, with its default 2,000 epochs."""

import time
from importlib.metadata import version

import numpy as np
from exchange import read_answers, unavailable, write_estimate

try:
    import pyro
    from py_irt.config import IrtConfig
    from py_irt.dataset import Dataset
    from py_irt.training import IrtModelTrainer
except ImportError:
    unavailable()

SEED = 42


def main() -> None:
    """Fit a case: FOLDER OUTPUT."""
    matrix = read_answers().matrix
    person, item = np.nonzero(matrix >= 0)
    persons, items = range(matrix.shape[0]), range(matrix.shape[1])
    dataset = Dataset(
        item_ids={str(j) for j in items},
        subject_ids={str(s) for s in persons},
        item_id_to_ix={str(j): j for j in items},
        ix_to_item_id={j: str(j) for j in items},
        subject_id_to_ix={str(s): s for s in persons},
        ix_to_subject_id={s: str(s) for s in persons},
        observation_subjects=person.tolist(),
        observation_items=item.tolist(),
        observations=matrix[person, item].tolist(),
        training_example=[True] * len(person),
    )
    pyro.set_rng_seed(SEED)  # py-irt ignores its own setting
    config = IrtConfig(model_type="3pl")
    trainer = IrtModelTrainer(config=config, data_path=None, dataset=dataset, verbose=False)
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    found = trainer.last_params
    write_estimate(
        found["disc"], found["diff"], found["lambdas"],
        seconds=seconds, version=version("py-irt"), note=f"{config.epochs} epochs",
    )  # fmt: skip


if __name__ == "__main__":
    main()
