"""Adapters trained on random pairs, once per session."""

import pytest

from helpers.adapter_inputs import SPEC, random_pairs
from overtop.adapters.storage import AdapterBundle
from overtop.adapters.training import train_bundle


@pytest.fixture(scope="session")
def bundle() -> AdapterBundle:
    """Adapters named `a`, trained under both protocols."""
    return train_bundle("a", SPEC, random_pairs(0), random_pairs(1), seed=0)
