import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import BertConfig

from helpers.encoder_inputs import CAPTIONS, LimitedMemoryEncode
from overtop.encoders.compat import open_clip
from overtop.encoders.embedding import ShardKey, embed_classes, embed_images, embed_shard, embed_texts
from overtop.encoders.loading import Encoder
from overtop.encoders.sampling import Sampling
from overtop.seeds import derive_seed
from overtop.storage.split import Split, split_from_labels

DROPOUT = Sampling.dropout(0.3, 4)


def test_image_embeddings_equal_those_of_single_images(encoder: Encoder, images: list[Path]) -> None:
    result = embed_images(encoder, images, Sampling(), seed=0, batch_size=3)
    with torch.inference_mode():
        expected = [encoder.model.encode_image(encoder.preprocess(Image.open(path))[None])[0] for path in images]
    assert result.embedding.shape == (1, 8, 64)
    assert result.embedding.dtype == np.float32
    np.testing.assert_allclose(result.embedding[0], torch.stack(expected), atol=1e-5)
    assert result.valid.all()
    assert result.dropout == "none"


def test_caption_embeddings_equal_those_of_single_captions(encoder: Encoder) -> None:
    captions = [*CAPTIONS, "red " * 50]
    result = embed_texts(encoder, captions, Sampling(), seed=0, batch_size=2)
    with torch.inference_mode():
        expected = [encoder.model.encode_text(encoder.tokenizer([caption]))[0] for caption in captions]
    np.testing.assert_allclose(result.embedding[0], torch.stack(expected), atol=1e-5)
    assert result.n_truncated == 1


def test_equal_captions_are_embedded_once_but_have_different_samples(encoder: Encoder) -> None:
    captions = ["a star", *CAPTIONS, "A  STAR", *CAPTIONS]
    encode = LimitedMemoryEncode(encoder.model.encode_text, 99, MemoryError())
    encoder.model.encode_text = encode
    embedding = embed_texts(encoder, captions, Sampling(), seed=0, batch_size=2).embedding[0]
    assert sum(encode.batch_sizes) == len(CAPTIONS)
    assert (embedding[[0, 6]] == embedding[5]).all()
    np.testing.assert_array_equal(embedding[1:6], embedding[7:])
    distinct = embed_texts(encoder, CAPTIONS, Sampling(), seed=0).embedding[0]
    np.testing.assert_allclose(embedding[1:6], distinct, atol=1e-5)
    samples = embed_texts(encoder, captions, DROPOUT, seed=0).embedding
    assert (samples[:, 0] != samples[:, 5]).any()


def test_dropout_of_each_tower_is_described(encoder: Encoder, images: list[Path]) -> None:
    assert embed_images(encoder, images[:1], DROPOUT, seed=0).dropout == "attention dropout in 3 layers"
    assert embed_texts(encoder, CAPTIONS[:1], DROPOUT, seed=0).dropout == "attention dropout in 2 layers"


def test_progress_counts_all_items(encoder: Encoder, images: list[Path]) -> None:
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))

    embed_images(encoder, images, Sampling(), seed=0, batch_size=3, progress=progress)
    assert calls == [(3, 8), (6, 8), (8, 8)]
    calls.clear()
    embed_texts(encoder, CAPTIONS, Sampling(), seed=0, batch_size=4, progress=progress)
    assert calls == [(4, 5), (5, 5)]
    calls.clear()
    embed_texts(encoder, [*CAPTIONS, *CAPTIONS], Sampling(), seed=0, batch_size=4, progress=progress)
    assert calls == [(8, 10), (10, 10)]  # each distinct caption counts twice


def test_empty_input_has_an_empty_embedding(encoder: Encoder) -> None:
    assert embed_images(encoder, [], DROPOUT, seed=0).embedding.shape == (4, 0, 64)
    assert embed_texts(encoder, [], Sampling(), seed=0).embedding.shape == (1, 0, 64)


class _WordTokenizer:
    """Token ids by word length, padded with 0 like those of Hugging Face tokenizers."""

    context_length = 12

    def __call__(self, texts: list[str], context_length: int = 12) -> torch.Tensor:
        rows = [[1 + len(word) for word in text.split()][:context_length] for text in texts]
        return torch.tensor([row + [0] * (context_length - len(row)) for row in rows])


def test_tower_that_masks_padding_gets_shortened_batches_and_order_is_preserved(encoder: Encoder) -> None:
    torch.manual_seed(0)
    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    tower = open_clip.hf_model.HFTextEncoder("", 64, config=config, pooler_type="mean_pooler", proj_type="linear")
    tower.eval()
    widths: list[int] = []

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.text = tower

        def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
            widths.append(tokens.shape[1])
            return tower(tokens)

    encoder = dataclasses.replace(encoder, model=Model().eval(), tokenizer=_WordTokenizer())
    embedding = embed_texts(encoder, CAPTIONS, Sampling(), seed=0, batch_size=2).embedding[0]
    assert widths == [2, 4, 9]  # sorted by length, cut to the longest of each batch
    with torch.inference_mode():
        expected = tower(_WordTokenizer()(CAPTIONS))
    np.testing.assert_allclose(embedding, expected, atol=1e-5)


@pytest.fixture
def split(images: list[Path]) -> Split:
    """Eight images with one caption each."""
    return Split(
        image_ids=[f"image-{n}" for n in range(8)],
        image_paths=[path.name for path in images],
        caption_ids=[f"caption-{n}" for n in range(8)],
        captions=[*CAPTIONS, "a circle", "two squares", "a green star"],
        image_of_caption=np.arange(8),
    )


def test_shard_holds_its_slice_with_masks_of_its_own_seed(encoder: Encoder, images: list[Path], split: Split) -> None:
    folder = images[0].parent
    batch, item_ids = embed_shard(encoder, split, ShardKey("image", 1, 3), DROPOUT, 5, 2, data=folder)
    assert item_ids == ["image-2", "image-3", "image-4"]
    seed = derive_seed(5, "tiny", 0.3, "image", 1, 3)
    np.testing.assert_array_equal(batch.embedding, embed_images(encoder, images[2:5], DROPOUT, seed, 2).embedding)
    batch, item_ids = embed_shard(encoder, split, ShardKey("text", 0, 1), DROPOUT, 5, 3, data=folder)
    assert item_ids == split.caption_ids
    seed = derive_seed(5, "tiny", 0.3, "text", 0, 1)
    np.testing.assert_array_equal(batch.embedding, embed_texts(encoder, split.captions, DROPOUT, seed, 3).embedding)


def test_first_passes_of_a_shard_do_not_depend_on_the_number_of_passes(encoder: Encoder, split: Split) -> None:
    key = ShardKey("text", 1, 2)
    two, four = (embed_shard(encoder, split, key, Sampling.dropout(0.3, passes), 5, 3, data="")[0] for passes in (2, 4))
    np.testing.assert_array_equal(two.embedding, four.embedding[:2])


def mean_of_prompts(encoder: Encoder, name: str, templates: list[str], sampling: Sampling, seed: int) -> np.ndarray:
    """Oracle for one class embedded alone, in float64: (S, D)."""
    prompts = [template.replace("{c}", name) for template in templates]
    vectors = embed_texts(encoder, prompts, sampling, seed).embedding.astype(np.float64)
    means = np.zeros((len(vectors), vectors.shape[2]))
    for sample, of_prompts in enumerate(vectors):
        for vector in of_prompts:
            means[sample] += vector / np.sqrt((vector**2).sum()) / len(templates)
        means[sample] /= np.sqrt((means[sample] ** 2).sum())
    return means


TEMPLATES = ["a large {c}", "there is a large {c} or a small {c}", "{c}"]


def test_class_is_the_normalised_mean_of_its_unit_prompts(encoder: Encoder) -> None:
    names = ["red circle", "blue star", "red circle"]
    result = embed_classes(encoder, names, TEMPLATES, Sampling(), seed=0, batch_size=2)
    expected = [mean_of_prompts(encoder, name, TEMPLATES, Sampling(), 0)[0] for name in names]
    np.testing.assert_allclose(result.embedding[0], expected, atol=1e-6)
    np.testing.assert_array_equal(result.embedding[0, 0], result.embedding[0, 2])
    assert result.embedding.dtype == np.float32
    assert result.valid.tolist() == [True] * 3
    # Not the direction of the sum of the un-normalised embeddings.
    raw = embed_texts(encoder, [t.replace("{c}", "red circle") for t in TEMPLATES], Sampling(), 0).embedding[0].sum(0)
    assert np.abs(result.embedding[0, 0] - raw / np.linalg.norm(raw)).max() > 1e-5


def test_class_is_averaged_within_each_sample(encoder: Encoder) -> None:
    result = embed_classes(encoder, ["red circle"], TEMPLATES, DROPOUT, seed=5)
    expected = mean_of_prompts(encoder, "red circle", TEMPLATES, DROPOUT, 5)
    np.testing.assert_allclose(result.embedding[:, 0], expected, atol=1e-6)
    assert np.abs(np.diff(expected, axis=0)).max() > 1e-3


def test_text_shard_of_classes_has_one_item_per_class(encoder: Encoder) -> None:
    names = ["red circle", "blue star", "green square"]
    split = split_from_labels(["a"], ["a.png"], [[1]], names, TEMPLATES)
    items, vectors = [], []
    for number in range(2):
        batch, item_ids = embed_shard(encoder, split, ShardKey("text", number, 2), Sampling(), 0, 8, data="")
        items += item_ids
        vectors += list(batch.embedding[0])
    assert items == ["0", "1", "2"]
    expected = [mean_of_prompts(encoder, name, TEMPLATES, Sampling(), 0)[0] for name in names]
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_grey_and_oblong_images_of_classes_are_embedded(encoder: Encoder, tmp_path: Path) -> None:
    for name, mode, size in (
        ("a", "L", (90, 30)),
        ("b", "RGB", (20, 90)),
        ("c", "P", (48, 48)),
        ("d", "RGBA", (60, 48)),
    ):
        Image.new(mode, size).save(tmp_path / f"{name}.png")
    names = ["a", "b", "c", "d"]
    split = split_from_labels(names, [f"{name}.png" for name in names], [[0]] * 4, ["x"], ["{c}"])
    batch, item_ids = embed_shard(encoder, split, ShardKey("image", 0, 1), Sampling(), 0, 8, data=tmp_path)
    assert item_ids == names
    assert batch.valid.all()
    assert np.isfinite(batch.embedding).all()


@pytest.mark.parametrize("sampling", [Sampling(), DROPOUT])
@pytest.mark.parametrize("modality", ["image", "text"])
def test_shard_of_a_missing_modality_is_empty_and_as_wide_as_others(
    encoder: Encoder, modality: str, sampling: Sampling
) -> None:
    images, captions = (["a.png"], []) if modality == "text" else ([], ["a caption"])
    split = Split(images, images, captions, captions, np.full(len(captions), -1))
    batch, item_ids = embed_shard(encoder, split, ShardKey(modality, 0, 1), sampling, 0, 8, data="")
    assert item_ids == []
    assert batch.embedding.shape == (sampling.passes, 0, encoder.widths[modality])
    assert batch.embedding.dtype == np.float32
    assert batch.valid.shape == (0,)
    assert (batch.dropout == "none") == sampling.is_deterministic
