import numpy as np
import pandas as pd
import pytest

from overtop.labels import format_count, format_measure, format_name, list_names, plural, posterior_labels


def posteriors(*rows, columns=("posterior", "kind", "architecture")):
    return pd.DataFrame(rows, columns=columns[: len(rows[0])])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mscoco", "MSCOCO"),
        ("coco", "MSCOCO"),
        ("mscoco-subset", "MSCOCO subset"),
        ("flickr30k-subset", "Flickr30K subset"),
        ("my_own-subset", "My own subset"),
        ("-subset", "-subset"),
        ("flickr8k-absent", "Flickr8K with absent targets"),
        ("mscoco-subset-absent", "MSCOCO subset with absent targets"),
        ("flickr8k-clip", "Flickr8k-clip"),
        ("adversarial_exact", "Adversarial (exact)"),
    ],
)
def test_format_name_returns_display_name(name, text):
    assert format_name(name) == text


def test_single_posterior_of_a_kind_is_labelled_by_kind_alone():
    rows = posteriors(("l14", "deterministic", "ViT-L-14"), ("l14-dropout", "mc_dropout", "ViT-L-14"))
    assert posterior_labels(rows) == {"l14": "deterministic", "l14-dropout": "MC dropout"}


def test_posteriors_of_one_kind_are_distinguished_by_architecture():
    rows = posteriors(
        ("l14", "mc_dropout", "ViT-L-14"),
        ("b32", "mc_dropout", "ViT-B-32"),
        ("l14", "mc_dropout", "ViT-L-14"),
        ("twelve", "ensemble", "ViT-L-14"),
    )
    assert posterior_labels(rows) == {
        "l14": "MC dropout, ViT-L-14",
        "b32": "MC dropout, ViT-B-32",
        "twelve": "ensemble",
    }


@pytest.mark.parametrize(
    "rows",
    [
        [("a", "mc_dropout"), ("b", "mc_dropout")],
        [("a", "mc_dropout", "ViT-L-14"), ("b", "mc_dropout", "ViT-L-14")],
        [("a", "mc_dropout", "ViT-L-14"), ("b", "mc_dropout", "")],
        [("a", "mc_dropout", "ViT-L-14"), ("b", "mc_dropout", np.nan)],
        [("a", "mc_dropout", "ViT-L-14"), ("a", "mc_dropout", "ViT-H-14"), ("b", "mc_dropout", "ViT-B-32")],
    ],
    ids=["unknown", "shared", "empty", "missing", "several"],
)
def test_posteriors_without_distinct_architectures_are_distinguished_by_name(rows):
    assert posterior_labels(posteriors(*rows)) == {"a": "MC dropout (a)", "b": "MC dropout (b)"}


def test_unknown_kind_is_labelled_by_its_own_name():
    assert posterior_labels(posteriors(("mine", "laplace"))) == {"mine": "laplace"}


def test_long_list_names_the_first_and_counts_the_others():
    assert list_names("ab", 2) == "a, b"
    assert list_names("abcd", 2, "; ") == "a; b and 2 more"


def test_measure_has_its_interval():
    row = {"aurc": 0.3, "aurc_low": 0.25, "aurc_high": 0.35}
    assert format_measure(row, "aurc") == "0.300 [0.250, 0.350]"


def test_counts_have_the_plural_of_their_noun():
    assert [format_count(1, "job"), format_count(1200, "query"), plural("image")] == [
        "1 job",
        "1,200 queries",
        "images",
    ]
    assert [format_count(0, "class"), format_count(5, "pass")] == ["0 classes", "5 passes"]
