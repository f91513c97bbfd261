"""Compiles the numerical kernels before the tests begin: each of their processes would otherwise.

    python -m calibration_pipeline_tests.kernels

Numba keeps what it compiled beside the sources, for every later process. Two processes compile
different kernels at the same time.
"""

import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline_tests import programme as programmes
from calibration_pipeline_tests.database import fresh_database
from calibration_pipeline_tests.policy.table_cases import fitted, simulated


def fit_a_table() -> None:
    """Compile the estimator's kernels."""
    _, data = simulated(4, 50, "3PL")
    fitted(data, "3PL")


def calibrate_nights() -> None:
    """Compile what a programme's first nights use: the simulator, the decoder, the leak watch."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        server = EmbeddedServer(home / "database")
        server.start()
        try:
            with fresh_database(server) as url:
                engine = open_engine(url)
                programmes.load(engine, home / "simulated")
                engine.dispose()
                programme = programmes.programme_on(url, home / "programme")
                programme.run(*programmes.NIGHTS[:2])
                programme.close()
        finally:
            server.remove()


def main() -> None:
    """Compile in two processes."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        for work in [processes.submit(fit_a_table), processes.submit(calibrate_nights)]:
            work.result()


if __name__ == "__main__":
    main()
