"""How arrays and items are typed."""

import numpy as np
from numpy.typing import NDArray

ItemKey = tuple[str, int]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
DayArray = NDArray[np.datetime64]
