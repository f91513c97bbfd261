"""Anderson mixing: a fixed-point iteration that looks back.

From the last points x and their images G(x), the combination is taken whose residuals G(x) − x
cancel best, as in a secant method of many dimensions.

Source: Anderson (1965), Journal of the ACM 12, 547–560; type II in Walker & Ni (2011), SIAM
Journal on Numerical Analysis 49, 1715–1735.
"""

from collections import deque

import numpy as np

from calibration_pipeline.irt.model import FloatArray

RIDGE = 1e-10
"""Relative to the trace of the normal equations: directions seen twice must not blow up."""


class AndersonMixing:
    """The memory of one iteration.

    Parameters
    ----------
    memory
        How many earlier cycles are combined at most; 0 gives the plain iteration.
    """

    def __init__(self, memory: int) -> None:
        self._images: deque[FloatArray] = deque(maxlen=memory + 1)
        self._residuals: deque[FloatArray] = deque(maxlen=memory + 1)

    def forget(self) -> None:
        """Start anew: what came before describes another place."""
        self._images.clear()
        self._residuals.clear()

    def propose(self, point: FloatArray, image: FloatArray) -> FloatArray:
        """Give the next point; point and image G(point) are ``(n,)``."""
        self._images.append(image)
        self._residuals.append(image - point)
        if len(self._images) < 2:
            return image
        residuals = np.diff(np.array(self._residuals), axis=0)
        images = np.diff(np.array(self._images), axis=0)
        # Not `@`: BLAS sums in an order that depends on its number of threads.
        normal = np.einsum("ik,jk->ij", residuals, residuals)
        ridge = RIDGE * np.trace(normal)
        if ridge == 0.0:
            return image
        normal[np.diag_indices_from(normal)] += ridge
        combination = np.linalg.solve(normal, np.einsum("ik,k->i", residuals, self._residuals[-1]))
        return np.asarray(image - np.einsum("i,ik->k", combination, images))
