"""The script end to end: scores and rankings of two splits as input, three tables as output."""

from types import SimpleNamespace

import pandas as pd

from helpers.cascade_inputs import CHEAP_ESTIMATOR, EXPENSIVE_ESTIMATOR, PROTOCOL, make_cascade_inputs
from helpers.scripts import load_script
from overtop.evaluation.cascade import CascadeSettings, run_cascade
from overtop.retrieval.ranking import write_ranking
from overtop.seeds import derive_seed
from overtop.storage.tables import write_table

cascade = load_script("cascade")

ERRORS, RESAMPLES, LEVEL, SEED = (0, 0.1), 100, 0.9, 0


def test_tables_are_those_of_the_library(tmp_path):
    inputs = {"test": make_cascade_inputs(0), "val": make_cascade_inputs(1)}
    paths = {}
    for role, of_role in inputs.items():
        for name in ("cheap", "expensive"):
            paths[f"{name}_{role}"] = tmp_path / f"{name}-{role}.parquet"
            write_table(paths[f"{name}_{role}"], getattr(of_role, name))
        paths[f"ranking_{role}"] = tmp_path / f"ranking-{role}.h5"
        write_ranking(paths[f"ranking_{role}"], of_role.rankings, {})
    outputs = {name: tmp_path / f"{name}.csv" for name in ("curve", "votes", "spent")}
    spec = {
        "dataset": "d",
        "cheap": "p",
        "expensive": "q",
        "cheap_estimator": CHEAP_ESTIMATOR,
        "expensive_estimator": EXPENSIVE_ESTIMATOR,
        "protocol": PROTOCOL,
        "errors": ERRORS,
    }
    bootstrap = {"resamples": RESAMPLES, "level": LEVEL}
    cascade.main(
        SimpleNamespace(
            input=paths,
            output=outputs,
            params=SimpleNamespace(spec=spec, bootstrap=bootstrap, seed=SEED),
            wildcards=SimpleNamespace(cascade="c"),
        )
    )
    seed = derive_seed(SEED, "cascade", "c")
    settings = CascadeSettings(CHEAP_ESTIMATOR, EXPENSIVE_ESTIMATOR, PROTOCOL, ERRORS, RESAMPLES, LEVEL, seed)
    for direction in ("t2i", "i2t"):
        expected = run_cascade(inputs["test"], inputs["val"], direction, settings)
        for name, path in outputs.items():
            table = pd.read_csv(path)
            rows = table[table["direction"] == direction].drop(columns="direction").reset_index(drop=True)
            pd.testing.assert_frame_equal(rows, getattr(expected, name), check_dtype=False)
