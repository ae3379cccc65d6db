"""The command on texts and images, with a small encoder of random weights."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.encoder_inputs import SHAPES_SPEC
from overtop.datasets.shapes import write_images
from overtop.encoders.embedding import embed_images, embed_texts
from overtop.encoders.loading import build_model, load_encoder
from overtop.encoders.sampling import Sampling
from overtop.training.checkpoint import save_checkpoint

TEXTS = ["a red circle", "a large blue square above a small green star", "some shapes", "a star"]


def write_weights(path, seed):
    torch.manual_seed(seed)
    save_checkpoint(build_model("tiny", SHAPES_SPEC, None), path)


@pytest.fixture(scope="session")
def encoder_files(tmp_path_factory):
    """Two checkpoints, twelve images and four texts."""
    folder = tmp_path_factory.mktemp("encoders")
    write_weights(folder / "tiny.safetensors", 0)
    write_weights(folder / "other.safetensors", 1)
    (folder / "photos").mkdir()
    write_images(folder / "photos", "test", 12, 48, 0)
    pd.DataFrame({"id": list("wxyz"), "text": TEXTS}).to_csv(folder / "queries.csv", index=False)
    return folder


@pytest.fixture
def photos(encoder_files, tmp_path, monkeypatch):
    """A working directory with these files; the folder of images may be changed. Returns the names of the images."""
    for path in encoder_files.iterdir():
        if path.is_file():
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "photos").mkdir()
    for path in (encoder_files / "photos").iterdir():
        (tmp_path / "photos" / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    return sorted(path.name for path in (tmp_path / "photos").iterdir())


TINY = ("--model", "shapes-vit", "--weights", "tiny.safetensors", "--device", "cpu")
TRUST = ("trust", "--gallery", "photos", "--queries", "queries.csv")


def test_answers_are_those_of_the_embeddings(photos, run, tmp_path):
    run(*TRUST, *TINY, "-o", "trust.csv")
    encoder = load_encoder("tiny", SHAPES_SPEC, "tiny.safetensors")
    np.save("photos.npy", embed_images(encoder, [f"photos/{name}" for name in photos], Sampling(), 0).embedding[0])
    np.save("queries.npy", embed_texts(encoder, TEXTS, Sampling(), 0).embedding[0])
    run("trust", "--gallery", "photos.npy", "--queries", "queries.npy", "-o", "embeddings.csv")
    answers, expected = pd.read_csv("trust.csv"), pd.read_csv("embeddings.csv")
    assert answers["query"].tolist() == list("wxyz")
    assert answers["top1"].tolist() == [photos[row] for row in expected["top1"]]
    np.testing.assert_allclose(answers["uncertainty"], expected["uncertainty"], rtol=1e-4)


def test_prepared_gallery_of_photos_is_searched_by_text(photos, run, fail):
    output = " ".join(run("prepare", "--gallery", "photos", *TINY, "-o", "gallery").split())
    assert output.startswith("12 items of dimension 64, encoder shapes-vit ")
    run("trust", "--gallery", "gallery", *TRUST[3:], *TINY, "-o", "prepared.csv")
    run(*TRUST, *TINY, "-o", "trust.csv")
    assert pd.read_csv("prepared.csv").equals(pd.read_csv("trust.csv"))
    other = ("--model", "shapes-vit", "--weights", "other.safetensors")
    message = fail("trust", "--gallery", "gallery", *TRUST[3:], *other, "-o", "other.csv")
    assert "the embeddings are of encoder 'shapes-vit " in message


def test_model_of_other_weights_is_refused(photos, run, fail, tmp_path):
    (tmp_path / "labels.csv").write_text("query,relevant\nw,0\nx,1\ny,2\n")
    run("calibrate", *TRUST[1:], *TINY, "--relevant", "labels.csv", "-o", "trust.json")
    model = json.loads((tmp_path / "trust.json").read_text())["models"]["queries"]
    assert model["facts"]["encoder"].startswith("shapes-vit ")
    assert model["n_queries"] == 3
    run(*TRUST, *TINY, "--with", "trust.json", "-o", "trust.csv")
    message = fail(*TRUST, *TINY[:3], "other.safetensors", "--with", "trust.json", "-o", "trust2.csv")
    assert "'shapes-vit " in message


def test_images_search_texts(photos, run):
    run("trust", "--gallery", "queries.csv", "--queries", "photos", *TINY, "-o", "trust.csv")
    answers = pd.read_csv("trust.csv")
    assert answers["query"].tolist() == photos
    assert set(answers["top1"]) <= set("wxyz")


def test_unreadable_image_stops_or_is_left_out(photos, run, fail, tmp_path, caplog):
    (tmp_path / "photos" / photos[3]).write_bytes(b"no image")
    message = fail(*TRUST, *TINY, "-o", "trust.csv")
    assert f"image photos/{photos[3]}: cannot be read" in message
    assert "--on-error skip" in message
    run(*TRUST, *TINY, "--on-error", "skip", "-o", "trust.csv")
    assert "--gallery photos: 1 of 12 images could not be read and were left out" in caplog.text


def test_labels_by_row_number_count_images_that_were_left_out(photos, run, tmp_path, monkeypatch):
    """The labels are made before it is known which images can be read."""
    run(*TRUST, *TINY, "-o", "trust.csv")
    top1 = [photos.index(name) for name in pd.read_csv("trust.csv")["top1"]]
    broken = next(row for row in range(12) if row not in top1 and row < max(top1))
    lines = [f"{query},{row}" for query, row in zip("wxyz", top1, strict=True)]
    (tmp_path / "labels.csv").write_text("\n".join(["query,relevant", *lines]) + "\n")
    (tmp_path / "photos" / photos[broken]).write_bytes(b"no image")
    run("calibrate", *TRUST[1:], *TINY, "--on-error", "skip", "--relevant", "labels.csv", "-o", "trust.json")
    model = json.loads((tmp_path / "trust.json").read_text())["models"]["queries"]
    assert (model["n_hits"], model["n_queries"], model["facts"]["gallery_size"]) == (4, 4, 11)


def test_labels_of_images_that_were_left_out_count_as_misses_or_are_not_used(photos, run, tmp_path):
    (tmp_path / "photos" / photos[2]).write_bytes(b"no image")
    (tmp_path / "labels.csv").write_text("query,relevant\nw,2\nx,2\nx,3\n")
    command = ("calibrate", *TINY, "--on-error", "skip", "--relevant")
    run(*command, "labels.csv", *TRUST[1:], "-o", "t2i.json")
    model = json.loads((tmp_path / "t2i.json").read_text())["models"]["queries"]
    assert model["n_queries"] == 2
    (tmp_path / "labels.csv").write_text("query,relevant\n2,w\n3,x\n4,\n")
    run(*command, "labels.csv", "--gallery", "queries.csv", "--queries", "photos", "-o", "i2t.json")
    model = json.loads((tmp_path / "i2t.json").read_text())["models"]["queries"]
    assert model["n_queries"] == 2


def test_too_long_text_is_reported(photos, run, tmp_path, caplog):
    (tmp_path / "long.txt").write_text("a red circle " * 100 + "\na star\n")
    run(*TRUST[:4], "long.txt", *TINY, "-o", "trust.csv")
    assert "--queries long.txt: 1 texts are longer than the encoder reads" in caplog.text


def test_folder_without_a_readable_image_is_rejected(photos, fail, tmp_path):
    for name in photos:
        (tmp_path / "photos" / name).write_bytes(b"no image")
    assert "none of the 12 images can be read" in fail(*TRUST, *TINY, "--on-error", "skip", "-o", "trust.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "shapes-vitt", "--weights", "tiny.safetensors"), "did you mean 'shapes-vit'"),
        (("--model", "shapes-vit", "--weights", "openai"), "openai"),
        (("--model", "ViT-B-32", "--weights", "tiny.safetensors"), "cannot be loaded into ViT-B-32"),
        ((*TINY, "--encoder", "mine"), "--model and --encoder"),
        ((*TINY[:4], "--device", "gpu"), "--device gpu"),
    ],
)
def test_encoder_that_cannot_be_loaded_is_one_line(photos, fail, tmp_path, options, message):
    assert message in fail(*TRUST, *options, "-o", "trust.csv")
    assert not (tmp_path / "trust.csv").exists()
