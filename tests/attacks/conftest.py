"""A small encoder with random weights, and a data set of shapes to attack."""

import pytest
import torch

from helpers.encoder_inputs import SHAPES_SPEC
from overtop.encoders.loading import Encoder, assemble_encoder, build_model


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    torch.manual_seed(0)
    return assemble_encoder("tiny", SHAPES_SPEC, build_model("tiny", SHAPES_SPEC, None), None, "cpu")
