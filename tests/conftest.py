"""A network and data for tests of what happens to batches; files with a network of their own define theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from xaicore.testing.models import MODELS

if TYPE_CHECKING:
    import keras


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Return a convolutional network with 4 outputs."""
    return MODELS["convolutional"]()


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    """Return ten pictures for it."""
    return np.random.default_rng(0).normal(size=(10, 8, 8, 3)).astype("float32")
