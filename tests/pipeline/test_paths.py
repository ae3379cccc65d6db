import pytest

from overtop.pipeline import paths
from overtop.pipeline.loading import load_config

CONFIG = load_config(
    {
        "datasets": {
            "shapes": {"kind": "shapes", "shards": 2},
            "shapes-absent": {"kind": "variant", "of": "shapes", "absent": 0.5},
            "given": {"kind": "embeddings", "splits": {"test": "x.npz"}, "shards": 7},
        },
        "encoders": {
            f"e{seed}": {"architecture": "shapes-vit", "train": {"dataset": "shapes", "seed": seed}} for seed in (0, 1)
        },
        "posteriors": {
            "dropout": {"kind": "mc_dropout", "encoder": "e0", "rate": 0.1, "passes": 3},
            "ensemble": {"kind": "ensemble", "members": ["e1", "e0"]},
            "imported": {"kind": "imported"},
        },
        "tables": {"t": {"datasets": ["shapes"], "posteriors": ["dropout"]}},
    }
)


def posterior_shards(dataset, posterior, modality):
    return paths.posterior_shards(CONFIG, dataset, "test", CONFIG.posteriors[posterior], modality)


def test_shard_path_contains_everything_that_defines_it():
    folder = "results/embeddings/shapes/test/e0/dropout-0.1x3"
    assert posterior_shards("shapes", "dropout", "image") == [f"{folder}/image-0of2.h5", f"{folder}/image-1of2.h5"]
    assert posterior_shards("shapes", "dropout", "text") == [f"{folder}/text-0of2.h5", f"{folder}/text-1of2.h5"]


def test_variant_has_the_shards_of_its_base():
    for posterior in ("dropout", "ensemble"):
        assert posterior_shards("shapes-absent", posterior, "image") == posterior_shards("shapes", posterior, "image")


def test_ensemble_shards_keep_member_order_and_are_shared_with_other_posteriors():
    shards = posterior_shards("shapes", "ensemble", "text")
    assert [path.split("/")[4] for path in shards] == ["e1", "e1", "e0", "e0"]
    assert shards == [
        path for e in ("e1", "e0") for path in paths.deterministic_shards(CONFIG, "shapes", "test", e, "text")
    ]


def test_posteriors_that_differ_only_in_passes_share_shards():
    spec = {"kind": "mc_dropout", "encoder": "e0", "rate": 0.1}
    values = CONFIG.model_dump() | {
        "posteriors": {
            **{f"p{passes}": spec | {"passes": passes} for passes in (2, 7, 10)},
            "other": spec | {"rate": 0.3, "passes": 3},
        },
        "tables": {},
        "embedding": {"passes_per_shard": 4},
    }
    config = load_config(values)
    samplings = {name: paths.samplings(config, config.posteriors[name]) for name in values["posteriors"]}
    ten = ["dropout-0.1x4", "dropout-0.1x4+4", "dropout-0.1x2+8"]
    assert samplings == {"p2": ten[:1], "p7": ten[:2], "p10": ten, "other": ["dropout-0.3x3"]}


def test_imported_embeddings_are_one_shard_per_modality():
    expected = ["results/embeddings/given/test/imported/samples/image-0of1.h5"]
    assert posterior_shards("given", "imported", "image") == expected
    assert paths.deterministic_shards(CONFIG, "given", "test", "imported", "image") == expected


@pytest.mark.parametrize(
    ("pattern", "suffix"), [(paths.SCORES, "scores/{}.parquet"), (paths.RANKING, "rankings/{}.h5")]
)
def test_files_of_posteriors_are_ordered_by_data_set_then_posterior(pattern, suffix):
    files = paths.for_posteriors(pattern, ["a", "b"], "val", ["p", "q"])
    assert files == [f"results/{suffix.format(tail)}" for tail in ("a/val/p", "a/val/q", "b/val/p", "b/val/q")]


@pytest.mark.parametrize(("posterior", "passes"), [("dropout", 3), ("ensemble", None), ("imported", None)])
def test_every_posterior_has_passes_and_adapter(posterior, passes):
    assert CONFIG.posteriors[posterior].passes == passes
    assert CONFIG.posteriors[posterior].adapter is None
