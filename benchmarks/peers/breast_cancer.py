"""Write scikit-learn's breast cancer data to a file; run by an environment of the peers, since xaicore does without."""

from __future__ import annotations

import sys

import numpy as np
from sklearn.datasets import load_breast_cancer

x, y = load_breast_cancer(return_X_y=True)
np.savez(sys.argv[1], x=x, y=y)
