import numpy as np
import pandas as pd
import pytest

from overtop import labels as words


def rows(*given, columns=("posterior", "kind", "architecture")):
    return pd.DataFrame(given, columns=columns[: len(given[0])])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mscoco", "MSCOCO"),
        ("coco", "MSCOCO"),
        ("mscoco-subset", "MSCOCO subset"),
        ("flickr30k-subset", "Flickr30K subset"),
        ("my_own-subset", "My own subset"),
        ("-subset", "-subset"),
        ("flickr8k-clip", "Flickr8k-clip"),
        ("adversarial_exact", "Adversarial (exact)"),
    ],
)
def test_names_in_words(name, text):
    assert words.label(name) == text


def test_labels_speak_for_a_whole_and_its_subset():
    assert words.label("mscoco-subset", {"mscoco": "COCO"}) == "COCO subset"
    assert words.label("mscoco-subset", {"mscoco": "COCO", "mscoco-subset": "49 images"}) == "49 images"


def test_one_posterior_of_a_kind_is_called_by_its_kind_alone():
    found = words.posteriors(rows(("l14", "deterministic", "ViT-L-14"), ("l14-dropout", "mc_dropout", "ViT-L-14")))
    assert found == {"l14": "deterministic", "l14-dropout": "MC dropout"}


def test_several_of_a_kind_are_told_apart_by_their_architecture():
    found = words.posteriors(
        rows(
            ("l14", "mc_dropout", "ViT-L-14"),
            ("b32", "mc_dropout", "ViT-B-32"),
            ("l14", "mc_dropout", "ViT-L-14"),
            ("twelve", "ensemble", "ViT-L-14"),
        )
    )
    assert found == {"l14": "MC dropout, ViT-L-14", "b32": "MC dropout, ViT-B-32", "twelve": "ensemble"}


@pytest.mark.parametrize(
    "given",
    [
        [("a", "mc_dropout"), ("b", "mc_dropout")],
        [("a", "mc_dropout", "ViT-L-14"), ("b", "mc_dropout", "ViT-L-14")],
        [("a", "mc_dropout", "ViT-L-14"), ("b", "mc_dropout", "")],
        [("a", "mc_dropout", "ViT-L-14"), ("b", "mc_dropout", np.nan)],
        [("a", "mc_dropout", "ViT-L-14"), ("a", "mc_dropout", "ViT-H-14"), ("b", "mc_dropout", "ViT-B-32")],
    ],
    ids=["unknown", "shared", "empty", "missing", "several"],
)
def test_else_by_their_names(given):
    assert words.posteriors(rows(*given)) == {"a": "MC dropout (a)", "b": "MC dropout (b)"}


def test_kinds_that_nobody_knows_keep_their_name():
    assert words.posteriors(rows(("mine", "laplace"))) == {"mine": "laplace"}
