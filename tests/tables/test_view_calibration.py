import numpy as np
import pandas as pd

from overtop.evaluation.probabilities import MEASURE_BOUNDS
from overtop.evaluation.robustness import AVERAGE
from overtop.tables.view_calibration import calibration_to_markdown


def make_row(dataset, model, view, probability, **values):
    row = {"dataset": dataset, "model": model, "view": view, "probability": probability, "temperature": 0.0123456}
    row |= {"n_seeds": 3, "n_images": 1500, "ece_calibrated": 0.0456}
    for number, name in enumerate(MEASURE_BOUNDS):
        value = values.get(name, number / 10 + 0.0123)
        row |= {name: value, f"{name}_low": value - 0.01, f"{name}_high": value + 0.02}
    return row


TABLE = pd.DataFrame(
    [
        make_row(dataset, model, view, probability, **({"nll": np.nan} if dataset == "coco-objects" else {}))
        for dataset in ("shapes", "coco-objects", AVERAGE)
        for model in ("CLIP", "UCAT | ours")
        for view in ("clean", "pgd_100")
        for probability in ("model", "dirichlet", "fitted")
    ]
)


def cells(line):
    return [cell.strip().replace("\N{NO-BREAK SPACE}", " ") for cell in line.strip("|").split(" | ")]


def test_average_is_first_and_probabilities_are_in_order():
    headings = [line for line in calibration_to_markdown(TABLE).splitlines() if line.startswith("#")]
    assert [line for line in headings if line.startswith("## ")] == [
        "## Average over the data sets (1,500 images)",
        "## Shapes (1,500 images)",
        "## Coco-objects (1,500 images)",
    ]
    assert headings[1:4] == [
        "### Softmax at the model's own temperature",
        "### Softmax at the fitted temperature",
        "### Dirichlet mean",
    ]


def test_rows_show_every_measure_with_its_interval():
    lines = calibration_to_markdown(TABLE).splitlines()
    header = cells(next(line for line in lines if line.startswith("| Model")))
    assert header[:5] == ["Model", "View", "T", "Accuracy", "Confidence"]
    assert len(header) == 3 + len(MEASURE_BOUNDS) + 1
    row = cells(next(line for line in lines if line.startswith("| UCAT \\| ours | pgd\\_100")))
    assert row[:4] == ["UCAT \\| ours", "pgd\\_100", "0.0123", "0.012<br>[0.002, 0.032]"]
    assert row[header.index("ECE, equal mass ↓")] == "0.312<br>[0.302, 0.332]"
    assert row[header.index("if calibrated")] == "0.046"


def test_measure_that_is_not_defined_is_a_dash():
    section = calibration_to_markdown(TABLE).split("## Coco-objects")[1]
    row = cells(next(line for line in section.splitlines() if line.startswith("| CLIP")))
    assert row[9] == "–"


def test_introduction_names_only_the_probabilities_that_are_shown():
    text = calibration_to_markdown(TABLE[TABLE["probability"] != "fitted"])
    assert "logit scale" in text
    assert "Dirichlet distribution" in text
    assert "fitted" not in text
    assert "Mean over the encoders of a model (3)" in text
