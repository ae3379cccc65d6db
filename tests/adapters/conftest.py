"""Adapters trained on random pairs, once per session."""

from dataclasses import replace

import pytest

from helpers.adapter_inputs import SPEC, random_pairs
from overtop.adapters.storage import AdapterBundle
from overtop.adapters.training import train_bundle
from overtop.terms import PROTOCOLS


@pytest.fixture(scope="session")
def bundle() -> AdapterBundle:
    """Adapters named `a`, trained under both protocols."""
    bundles = [train_bundle("a", SPEC, random_pairs(0), random_pairs(1), protocol, seed=0) for protocol in PROTOCOLS]
    return replace(bundles[0], by_protocol=bundles[0].by_protocol | bundles[1].by_protocol)
