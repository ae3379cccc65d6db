import pytest

from overtop.pipeline.fits import Fit, find_fit
from overtop.pipeline.loading import load_config

BASE = {"architecture": "ViT-B-32", "tag": "openai"}


def finetuned(base, dataset="shapes", **keys):
    return {"finetune": {"from": base, "dataset": dataset, "objective": {"kind": "tecoa"}, **keys}}


@pytest.fixture
def config():
    """A base with two fine-tuned encoders, one fine-tuned again, one with two data sets, one alone."""
    world = {"kind": "classes", "files": {"layout": "shapes", "images": {"train": 64, "val": 16, "test": 16}}}
    return load_config(
        {
            "datasets": {"shapes": world, "other": world},
            "encoders": {
                "base": BASE,
                "ucat": finetuned("base"),
                "tecoa": finetuned("base"),
                "again": finetuned("ucat", "other", val="test"),
                "ambiguous": BASE,
                "first": finetuned("ambiguous"),
                "second": finetuned("ambiguous", "other"),
                "alone": BASE,
            },
            "attacks": {"pgd": {"kind": "pgd", "epsilon": 1}},
            "posteriors": {
                "dropout": {"kind": "mc_dropout", "encoder": "base"},
                "pair": {"kind": "ensemble", "members": ["base", "ucat"]},
            },
            "tables": {"t": {"datasets": ["shapes"], "posteriors": ["base"]}},
        }
    )


@pytest.mark.parametrize(
    ("posterior", "expected"),
    [
        ("base", Fit("shapes", "val", "base")),
        ("base@pgd", Fit("shapes", "val", "base")),
        ("ucat@pgd", Fit("shapes", "val", "ucat")),
        ("again", Fit("other", "test", "again")),
        ("dropout@pgd", Fit("shapes", "val", "dropout")),
        ("pair", Fit("shapes", "val", "pair")),
        ("ambiguous", None),
        ("first", Fit("shapes", "val", "first")),
        ("alone", None),
    ],
)
def test_temperature_is_fitted_where_the_encoder_or_those_from_it_were_selected(config, posterior, expected):
    assert find_fit(config, posterior) == expected
