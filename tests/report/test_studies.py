import numpy as np
import pandas as pd

from overtop.evaluation.attack_checks import CHECKS, FAILED, PASSED
from overtop.evaluation.robustness import AVERAGE, COLUMNS
from overtop.report.studies import MAX_ANSWERS, answers_table, robustness_tables
from overtop.report.warnings import study_warnings


def make_study(harmonic=True, paper=True):
    """Two models, two views, one data set and the average."""
    rows = []
    for number, (dataset, model, view) in enumerate(
        (d, m, v) for d in ("cifar10", AVERAGE) for m in ("CLIP", "UCAT") for v in ("clean", "pgd-1")
    ):
        row = {"dataset": dataset, "model": model, "view": view, "measure": "accuracy", "n_seeds": 1, "n_images": 50}
        row |= {"value": number / 10, "value_low": number / 10 - 0.01, "value_high": number / 10 + 0.01}
        row |= {"harmonic": 0.5 if harmonic and view != "clean" else np.nan, "harmonic_low": 0.4, "harmonic_high": 0.6}
        row |= {"paper_value": 0.123 if paper and model == "UCAT" else np.nan, "paper_harmonic": np.nan}
        rows.append(row)
    return pd.DataFrame(rows).reindex(columns=[*COLUMNS, "paper_value", "paper_harmonic"])


def test_study_has_the_average_first_and_a_column_for_each_view():
    average, cifar = robustness_tables("scenes", make_study())
    assert average.title == "scenes, Average: accuracy (50 images)"
    assert cifar.title == "scenes, Cifar10: accuracy (50 images)"
    assert list(cifar.rows) == ["model", "clean", "paper clean", "pgd-1", "paper pgd-1", "H(pgd-1)"]
    assert cifar.rows["model"] == ["CLIP", "UCAT"]
    assert cifar.rows["clean"] == [(0.0, -1.0, 1.0), (20.0, 19.0, 21.0)]
    assert cifar.rows["paper pgd-1"] == [None, 12.3]
    assert average.rows["H(pgd-1)"] == [(50.0, 40.0, 60.0)] * 2
    assert [column.key for column in cifar.columns] == list(cifar.rows)


def test_study_without_reference_and_harmonic_mean_has_only_accuracies():
    tables = robustness_tables("scenes", make_study(harmonic=False, paper=False))
    assert all(list(table.rows) == ["model", "clean", "pgd-1"] for table in tables)


def test_failed_checks_are_warnings():
    columns = {"dataset": "cifar10", "model": "CLIP", "check": next(iter(CHECKS)), "detail": "0.1 against 0.2"}
    checks = pd.DataFrame([columns | {"result": result} for result in (PASSED, FAILED)])
    (line,) = study_warnings(checks)
    assert line.startswith("The attacks may be too weak: Cifar10, CLIP: not true that ")


def make_answers(n):
    columns = {"query": [f"q{i}" for i in range(n)], "top1": "a", "similarity": 0.3, "uncertainty": 0.123456789}
    return pd.DataFrame(columns | {"p_right": [np.nan, *([0.9] * (n - 1))], "act": True, "warning": ""})


FACTS = {"queries": 400, "acted": 100, "precision": 0.9, "estimator": "max_softmax", "promise": "R@1 of at least 0.9."}


def test_answers_have_their_promise_and_state_how_many_are_shown():
    table = answers_table("photos", make_answers(400), FACTS)
    assert table.title == "photos: act on 100 of 400 queries (25 %) at precision 0.9, by Max softmax"
    assert table.note == "Promise: R@1 of at least 0.9. Shown are the first 300; results/answers/photos.csv has all."
    assert {len(cells) for cells in table.rows.values()} == {MAX_ANSWERS}
    assert table.rows["p_right"][:2] == [None, 0.9]
    assert table.rows["uncertainty"][0] == 0.123457
    assert table.rows["act"][0] is True


def test_few_answers_are_all_shown():
    assert answers_table("photos", make_answers(2), FACTS).note == "Promise: R@1 of at least 0.9."
