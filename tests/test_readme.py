import re

import numpy as np

MAX_LINES = 150


def test_readme_fits_on_a_few_screens(repo):
    assert len((repo / "README.md").read_text().splitlines()) <= MAX_LINES


def test_readme_python_example_runs(repo):
    [example] = re.findall(r"```python\n(.*?)```", (repo / "README.md").read_text(), re.S)
    names = {}
    exec(example, names)
    assert names["uncertainty"].shape == names["top1"].shape == (500,)
    assert np.isfinite(names["uncertainty"]).all()
