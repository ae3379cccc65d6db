import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from overtop.attacks.gallery import positives_of_images
from overtop.attacks.losses import is_misclassified
from overtop.attacks.pictures import SCHEMA, perturb_first_batch, write_pictures
from overtop.attacks.shard import Outcome, ShardAttack
from overtop.config.attacks import GradientAttack, LibraryAttack
from overtop.encoders.embedding import ShardKey, embed_shard
from overtop.encoders.loading import Encoder
from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError
from overtop.storage.arrays import read_arrays
from overtop.storage.split import Split

PGD = GradientAttack(kind="pgd", epsilon=8, steps=4, step=3)
NOTHING = GradientAttack(kind="pgd", epsilon=1e-5, steps=0)
DROPOUT = Sampling.dropout(0.3, 3)


@pytest.fixture
def attack_on(encoder: Encoder, texts: dict[str, Path], data: Path):
    """A function that makes the attack on a shard of a split."""

    def make(split: Split, spec: GradientAttack | LibraryAttack = PGD, number: int = 0, count: int = 1, **options):
        shards = [texts["classes" if split.is_classes else "captions"]]
        defaults = {"spec": spec, "seed": 0, "batch_size": 4, "data": data}
        return ShardAttack.against(encoder, split, shards, ShardKey("image", number, count), **defaults | options)

    return make


@pytest.mark.parametrize("kind", ["captions", "classes"])
def test_outcome_is_that_of_the_embeddings(attack_on, request, kind):
    split = request.getfixturevalue(kind)
    attack = attack_on(split)
    batch, item_ids, outcome = attack.embed(Sampling())
    gallery = attack.classifier.gallery
    is_positive = torch.from_numpy(positives_of_images(split, np.arange(len(item_ids))))
    logits = gallery.logits(torch.from_numpy(batch.embedding[0]))
    assert outcome.wrong_attacked == is_misclassified(logits, is_positive).sum()
    assert (outcome.images, item_ids) == (len(split.image_ids), split.image_ids)
    assert 0 <= outcome.pixel_min < outcome.pixel_max <= 1
    assert 7.9 < outcome.max_perturbation <= 8 + 1e-4


def test_attack_on_retrieval_makes_a_caption_of_another_image_first(attack_on, captions):
    attack = attack_on(captions, GradientAttack(kind="cw", epsilon=60, steps=15, step=10))
    batch, _, outcome = attack.embed(Sampling())
    clean, _, before = attack_on(captions, NOTHING).embed(Sampling())
    texts = attack.classifier.gallery._texts.numpy()
    hits = []
    for embedding in (clean, batch):
        top = (embedding.embedding[0] @ texts.T).argmax(axis=1)
        hits.append(captions.image_of_caption[top] == np.arange(len(captions.image_ids)))
    assert before.wrong_attacked == (~hits[0]).sum() == outcome.wrong_clean
    assert outcome.wrong_attacked == (~hits[1]).sum()
    assert hits[1].sum() < hits[0].sum()


def test_shard_has_the_same_bytes_on_repeat_and_after_other_shards(attack_on, classes):
    alone, ids, outcome = attack_on(classes, number=1, count=2).embed(DROPOUT)
    attack_on(classes, number=0, count=2).embed(DROPOUT)
    torch.manual_seed(9)
    again, _, _ = attack_on(classes, number=1, count=2).embed(DROPOUT)
    assert again.embedding.tobytes() == alone.embedding.tobytes()
    assert ids == classes.image_ids[7:]
    assert outcome.images == 7


def test_perturbation_does_not_depend_on_the_sampling(attack_on, classes):
    outcomes = {attack_on(classes).embed(sampling)[2] for sampling in (Sampling(), DROPOUT)}
    assert len(outcomes) == 1


@pytest.mark.parametrize("sampling", [Sampling(), DROPOUT])
def test_unperturbed_images_have_the_samples_of_the_rule_embed(attack_on, encoder, data, classes, sampling):
    batch, ids, outcome = attack_on(classes, NOTHING, number=1, count=2).embed(sampling)
    key = ShardKey("image", 1, 2)
    expected, expected_ids = embed_shard(encoder, classes, key, sampling, 0, 4, data=data)
    assert ids == expected_ids
    assert batch.dropout == expected.dropout
    np.testing.assert_allclose(batch.embedding, expected.embedding, atol=1e-4)
    assert outcome.wrong_clean == outcome.wrong_attacked


def test_unreadable_image_is_skipped_and_the_others_have_their_own_labels(attack_on, classes, data, tmp_path):
    folder = tmp_path / "data"
    for path in classes.image_paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes((data / path).read_bytes())
    for row in (1, *range(4, 8)):  # one of the first batch, and all of the second
        (folder / classes.image_paths[row]).write_bytes(b"nothing")
    with pytest.raises(OvertopError, match=f"image .*{classes.image_paths[1]}: cannot be read"):
        attack_on(classes, data=folder).embed(Sampling())
    attack = attack_on(classes, data=folder, on_error="skip")
    batch, ids, outcome = attack.embed(Sampling())
    assert np.flatnonzero(~batch.valid).tolist() == [1, 4, 5, 6, 7]
    assert np.isnan(batch.embedding[0, ~batch.valid]).all()
    assert len(ids) == len(classes.image_ids)
    positives = torch.from_numpy(positives_of_images(classes, np.flatnonzero(batch.valid)))
    logits = attack.classifier.gallery.logits(torch.from_numpy(batch.embedding[0, batch.valid]))
    assert outcome.images == 9
    assert outcome.wrong_attacked == is_misclassified(logits, positives).sum()


def test_weights_get_no_gradient(attack_on, classes, encoder):
    attack_on(classes).embed(Sampling())
    assert all(parameter.grad is None for parameter in encoder.model.parameters())


def test_library_attack_is_not_for_several_labels(attack_on, classes):
    pytest.importorskip("pyautoattack")
    with pytest.raises(OvertopError, match="one label per image"):
        attack_on(classes, LibraryAttack(kind="apgd-ce", epsilon=8, steps=2)).embed(Sampling())


def test_text_shards_of_another_encoder_or_split_are_an_error(encoder, captions, classes, texts, data):
    key, options = ShardKey("image", 0, 1), {"spec": PGD, "seed": 0, "batch_size": 4, "data": data}
    with pytest.raises(OvertopError, match="of another encoder or of other captions"):
        ShardAttack.against(encoder, captions, [texts["classes"]], key, **options)
    renamed = dataclasses.replace(encoder, name="other")
    with pytest.raises(OvertopError, match="of another encoder or of other captions"):
        ShardAttack.against(renamed, classes, [texts["classes"]], key, **options)


def test_outcomes_are_combined():
    first, second = Outcome(3, 1, 2, 0.5, 0.1, 0.9), Outcome(4, 0, 4, 0.25, 0.2, 1.0)
    assert first.combined(second) == Outcome(7, 1, 6, 0.5, 0.1, 1.0)
    assert Outcome().combined(first) == first


def test_pictures_are_the_perturbed_images_of_the_first_batch(attack_on, captions, data, tmp_path):
    attack = attack_on(captions)
    pictures = perturb_first_batch(attack)
    assert pictures.item_ids == captions.image_ids[:4]
    first = attack.classifier.to_pixels(Image.open(data / captions.image_paths[0])).numpy()
    np.testing.assert_array_equal(pictures.clean[0], first)
    embedding = attack.embed(Sampling())[0].embedding[0, :4]
    actual = attack.classifier.embed(torch.from_numpy(pictures.attacked)).detach()
    np.testing.assert_allclose(actual, embedding, atol=1e-5)
    write_pictures(tmp_path / "pictures.h5", pictures, {"attack": "pgd"})
    arrays, provenance = read_arrays(tmp_path / "pictures.h5", SCHEMA)
    np.testing.assert_array_equal(arrays["attacked"], pictures.attacked)
    assert arrays["is_positive"].shape == (4, len(captions.image_ids))
    assert provenance == {"attack": "pgd"}
