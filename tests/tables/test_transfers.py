import numpy as np
import pandas as pd

from overtop.confidence.hit_probabilities import MEASURE_BOUNDS
from overtop.confidence.transfer import Transfers
from overtop.tables.transfers import transfers_summary, transfers_to_markdown


def make_transfers(omitted=()):
    """Return tables of two data sets, two estimators and two directions."""
    measures, thresholds = [], []
    for direction in ("i2t", "t2i"):
        for estimator in ("max_softmax", "top1_similarity"):
            for number, dataset in enumerate(("flickr8k", "flickr8k-absent")):
                key = {"dataset": dataset, "split": "test", "direction": direction, "estimator": estimator}
                sizes = {"n_labelled": 1000, "labelled_gallery": 5000, "n_queries": 1234, "gallery": 500}
                for fit in ("labelled", "unlabelled")[: 1 + (estimator == "max_softmax")]:
                    row = {**key, **sizes, "fit": fit, "mapping": "logistic", "drift": number / 4}
                    row |= {"unlike_labelled": number == 1, "ece_calibrated": 0.0321}
                    for place, name in enumerate(MEASURE_BOUNDS):
                        value = place / 10 + 0.0123
                        row |= {name: value, f"{name}_low": value - 0.01, f"{name}_high": value + 0.02}
                    measures.append(row)
                achieved = {"achieved": 0.9123, "achieved_low": 0.88, "achieved_high": 0.94, "met": True}
                nothing = {"achieved": np.nan, "achieved_low": 0, "achieved_high": 1, "met": pd.NA}
                found = {"confidence": 0.95, "target": 0.9, "threshold": 0.1234567, "coverage": 0.25}
                thresholds.append(key | found | (achieved | {"met": number == 0}))
                thresholds.append(key | found | {"target": 0.95, "threshold": -np.inf, "coverage": 0.0} | nothing)
    return Transfers(pd.DataFrame(measures), pd.DataFrame(thresholds), pd.DataFrame(), list(omitted))


def cells(line):
    text = line.strip("|").replace("\N{NO-BREAK SPACE}", " ").replace("<br>", " ")
    return [cell.strip() for cell in text.split(" | ")]


def test_sections_are_in_the_order_of_directions_and_estimators():
    headings = [line for line in transfers_to_markdown(make_transfers()).splitlines() if line.startswith("#")]
    assert headings == [
        "## Text to image: Top-1 similarity",
        "## Text to image: Max softmax",
        "## Image to text: Top-1 similarity",
        "## Image to text: Max softmax",
    ]


def test_rows_show_measures_with_intervals_and_mark_drift():
    lines = transfers_to_markdown(make_transfers()).splitlines()
    start = lines.index("## Text to image: Max softmax")
    assert lines[start + 2] == "Fitted to 1,000 labelled queries with a gallery of 5,000 items."
    rows = [cells(line) for line in lines[start + 6 : start + 10]]
    assert rows[0][:6] == [
        "Flickr8K, test",
        "labelled (logistic)",
        "1,234",
        "500",
        "0.00",
        "0.012 [0.002, 0.032]",
    ]
    assert rows[1][1] == "unlabelled (logistic)"
    assert [row[4] for row in rows] == ["0.00", "0.00", "0.25 !", "0.25 !"]
    header = cells(lines[start + 4])
    assert len(header) == len(rows[0])
    assert rows[0][header.index("if calibrated")] == "0.032"


def test_thresholds_show_what_they_achieve_and_a_dash_where_nothing_is_answered():
    lines = transfers_to_markdown(make_transfers()).splitlines()
    rows = [cells(line) for line in lines if line.count(" | ") == 5 and line.startswith("| Flickr8K")]
    assert rows[:4] == [
        ["Flickr8K, test", "0.9", "0.123", "0.250", "0.912 [0.880, 0.940]", "yes"],
        ["Flickr8K, test", "0.95", "-inf", "0.000", "–", "–"],
        ["Flickr8K with absent targets, test", "0.9", "0.123", "0.250", "0.912 [0.880, 0.940]", "no"],
        ["Flickr8K with absent targets, test", "0.95", "-inf", "0.000", "–", "–"],
    ]


def test_estimators_that_are_left_out_are_named_at_the_end():
    text = transfers_to_markdown(make_transfers(["bank_nnn: no scores on flickr8k/val"]))
    assert text.endswith("\nLeft out: bank\\_nnn: no scores on flickr8k/val.\n")
    assert "Left out" not in transfers_to_markdown(make_transfers())


def test_summary_has_the_overconfidence_of_every_fitted_model_on_each_data_set():
    lines = transfers_summary(make_transfers().measures)
    assert len(lines) == 4
    assert lines[0] == (
        "Image to text, Max softmax: mean probability minus share of right answers: Flickr8K +0.212 [0.202, 0.232]; "
        "Flickr8K with absent targets +0.212 [0.202, 0.232]"
    )
