"""What every model of the bank is fitted and judged by: scorecards of credit, churn. Pure NumPy, nothing of Django."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
