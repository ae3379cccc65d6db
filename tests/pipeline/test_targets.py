"""Targets that no rule makes, and names in their paths that are not declared."""

import re

import pytest

from helpers.pipeline import read_committed_config
from overtop.errors import OvertopError
from overtop.pipeline import paths
from overtop.pipeline.loading import load_config
from overtop.pipeline.targets import Output, check_targets

RULES = ("all", "fetch", "train", "embed", "score", "cascade", "plot", "table")
PATTERNS = (
    ("fetch", paths.SOURCE),
    ("train", paths.CHECKPOINT),
    ("embed", paths.SHARD),
    ("score", paths.SCORES),
    ("cascade", paths.CASCADE),
    ("plot", f"{paths.FIGURE}.pdf"),
    ("table", f"{paths.TABLE}.csv"),
    ("table", f"{paths.TABLE}.md"),
)


@pytest.fixture(scope="module")
def config(repo):
    return load_config(read_committed_config(repo))


@pytest.fixture(scope="module")
def outputs():
    regexes = [re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(pattern)) for _, pattern in PATTERNS]
    return [Output(rule, pattern, re.compile(regex)) for (rule, pattern), regex in zip(PATTERNS, regexes, strict=True)]


@pytest.mark.parametrize(
    "target",
    [
        "all",
        "results/tables/demo.csv",
        "./results/tables/demo.md",
        "results/scores/shapes-absent/test/shapes.parquet",
        "results/scores/flickr8k/testt/lite.parquet",  # only the files of this data set tell its splits
        "results/embeddings/flickr8k-clip/test/imported/samples/image-0of1.h5",
    ],
)
def test_target_that_a_rule_makes_passes(config, outputs, target):
    check_targets(config, [target], outputs, RULES)


def test_existing_file_passes(config, outputs, tmp_path):
    (tmp_path / "x.csv").touch()
    check_targets(config, [str(tmp_path / "x.csv")], outputs, RULES)


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("results/tabels/demo.csv", "no rule makes it; did you mean 'results/tables/demo.csv'?"),
        ("results/tables/demo.cvs", "no rule makes it; did you mean 'results/tables/demo.csv'?"),
        ("results/tables/dmeo.csv", "no table 'dmeo' is declared; did you mean 'demo'?"),
        ("results/figures/demo-rejections.pdf", "no figure 'demo-rejections' is declared; did you mean"),
        ("demo", "no rule makes it; did you mean 'results/tables/demo.csv'?"),
        ("dmeo", "no rule makes it; did you mean 'results/tables/demo.csv'?"),
        ("tabulate", "no rule makes it; did you mean 'table'?"),
        ("table", "is a rule that makes many files; name one of them, such as results/tables/demo.csv"),
        (
            "embed",
            "is a rule that makes many files; name one of them, such as results/embeddings/{dataset}/{split}/"
            "{encoder}/{sampling}/{modality}-{shard}of{shards}.h5",
        ),
        ("results/scores/shapes/tset/shapes.parquet", "data set 'shapes' has no split 'tset'; did you mean 'test'?"),
        ("results/scores/shapez/test/shapes.parquet", "no dataset 'shapez' is declared; did you mean 'shapes'?"),
        ("results/scores/shapes/test/shape.parquet", "no posterior 'shape' is declared; did you mean 'shapes'?"),
        (
            "results/scors/shapez/test/shapes.parquet",
            "no rule makes it; did you mean 'results/scores/shapes/test/shapes.parquet'?",
        ),
        ("data/encoders/shapes-9.safetensors", "no encoder 'shapes-9' is declared; did you mean 'shapes-"),
        ("x/y", "no rule makes it; name a file, such as results/tables/demo.csv"),
        ("zzz", "no rule makes it; name a file, such as results/tables/demo.csv"),
    ],
)
def test_wrong_target_is_one_line_with_a_suggestion(config, outputs, target, line):
    with pytest.raises(OvertopError) as caught:
        check_targets(config, [target], outputs, RULES)
    assert str(caught.value).startswith(f"{target}: {line}")


def test_all_wrong_targets_are_reported_at_once(config, outputs):
    with pytest.raises(OvertopError) as caught:
        check_targets(config, ["demo", "results/tables/demo.csv", "dmeo"], outputs, RULES)
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == ["demo", "dmeo"]
