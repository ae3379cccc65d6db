import re

import yaml

from helpers.pipeline import configured
from overtop.estimators.registry import ESTIMATORS
from overtop.pipeline.loading import load_config


def test_every_estimator_is_explained(repo):
    table = (repo / "README.md").read_text().split("## What is measured")[1].split("\n##")[0]
    assert [name for name in ESTIMATORS if f"`{name}`" not in table] == []


def test_what_one_is_told_to_add_is_a_right_configuration(repo):
    """The YAML blocks of "Add your own", all together, on top of the committed configuration."""
    values = configured(repo)
    section = (repo / "README.md").read_text().split("## Add your own")[1]
    blocks = re.findall(r"```yaml\n(.*?)```", section, re.S)
    assert len(blocks) >= 4
    for block in blocks:
        for key, entries in yaml.safe_load(block).items():
            values[key].update(entries)
    config = load_config(values)
    assert {"mine"} <= set(config.datasets) & set(config.tables) & set(config.cascades)
