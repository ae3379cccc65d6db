import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from overtop.encoders import decoding
from overtop.encoders.decoding import decode_batches
from overtop.encoders.embedding import embed_images
from overtop.encoders.loading import Encoder
from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError

DROPOUT = Sampling.dropout(0.3, 4)


@pytest.fixture
def paths_with_unreadable(images: list[Path], tmp_path: Path) -> list[Path]:
    """Five paths of which file 1 is truncated, 2 is text, and 3 is missing."""
    truncated, text = tmp_path / "truncated.png", tmp_path / "text.jpg"
    truncated.write_bytes(images[0].read_bytes()[:200])
    text.write_text("no picture")
    return [images[0], truncated, text, tmp_path / "missing.png", images[1]]


def test_batches_are_decoded_in_order(encoder: Encoder, images: list[Path]) -> None:
    batches = [images[:3], images[3:6], images[6:7], images[7:]]
    decoded = list(decode_batches(encoder, batches, "fail"))
    assert [len(pixels) for pixels, _ in decoded] == [3, 3, 1, 1]
    assert all(readable.all() for _, readable in decoded)
    expected = torch.stack([decoding.read_image(path, encoder.preprocess) for path in images])
    assert torch.equal(torch.cat([pixels for pixels, _ in decoded]), expected)


def test_each_image_is_decoded_once_for_all_passes(
    encoder: Encoder, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Path] = []
    original = decoding.read_image

    def counting_read_image(path: Path, preprocess: Any) -> torch.Tensor:
        decoded.append(path)
        return original(path, preprocess)

    monkeypatch.setattr(decoding, "read_image", counting_read_image)
    embed_images(encoder, images, DROPOUT, seed=0, batch_size=3)
    assert sorted(decoded) == sorted(images)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_skipped_images_are_reported_and_do_not_change_the_others(
    encoder: Encoder, paths_with_unreadable: list[Path], caplog: pytest.LogCaptureFixture, batch_size: int
) -> None:
    paths = paths_with_unreadable
    with caplog.at_level(logging.WARNING):
        result = embed_images(encoder, paths, DROPOUT, seed=0, batch_size=batch_size, on_error="skip")
    assert result.valid.tolist() == [True, False, False, False, True]
    assert np.isnan(result.embedding[:, 1:4]).all()
    assert np.isfinite(result.embedding[:, [0, 4]]).all()
    for name in ("truncated.png", "text.jpg", "missing.png"):
        assert name in caplog.text
    readable = embed_images(encoder, [paths[0], paths[4]], Sampling(), seed=0).embedding
    skipped = embed_images(encoder, paths, Sampling(), seed=0, batch_size=batch_size, on_error="skip").embedding
    np.testing.assert_allclose(skipped[:, [0, 4]], readable, atol=1e-5)
    repaired = [paths[0], *[paths[4]] * 4]  # the masks of an image do not depend on whether others are readable
    all_readable = embed_images(encoder, repaired, DROPOUT, seed=0, batch_size=batch_size).embedding
    np.testing.assert_allclose(result.embedding[:, [0, 4]], all_readable[:, [0, 4]], atol=2e-6)


def test_unreadable_image_fails_with_its_name(encoder: Encoder, paths_with_unreadable: list[Path]) -> None:
    with pytest.raises(OvertopError, match=r"truncated\.png: cannot be read .* on_error: skip"):
        embed_images(encoder, paths_with_unreadable, Sampling(), seed=0)


@pytest.mark.parametrize(("device", "readers", "count"), [("cuda", 8, 8), ("cuda", None, 16), ("cpu", 8, 2)])
def test_job_decodes_with_its_threads_beside_a_gpu(
    device: str, readers: int | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU most cores are left to the network."""
    monkeypatch.setattr(decoding.os, "sched_getaffinity", lambda pid: set(range(16)))
    assert decoding._reader_count(torch.device(device), readers) == count
