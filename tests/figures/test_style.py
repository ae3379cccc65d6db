import os
import subprocess
import sys
from itertools import product

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.figure import Figure

from overtop.figures import style
from overtop.figures.calibration import calibration_figure
from overtop.figures.methods import bracket


def frame(*rows):
    return pd.DataFrame(rows, columns=["posterior", "kind", "estimator"])


KINDS = ("deterministic", "mc_dropout", "ensemble")
KNOWN = tuple(style._ESTIMATORS)


def test_every_method_looks_different():
    looks = style.looks(frame(*((kind, kind, e) for kind, e in product(KINDS, (*KNOWN, "mine", "yours")))))
    drawn = {(look.colour, look.marker, str(look.line)) for look in looks.values()}
    assert len(drawn) == len(looks) == 3 * (len(KNOWN) + 2)


def test_without_colour_every_method_of_the_paper_still_looks_different():
    paper = ("top1_similarity", "top1_consistency", "topk_consistency", *(e for e in KNOWN if "adversarial" in e))
    looks = style.looks(frame(*((kind, kind, e) for kind, e in product(KINDS, paper))))
    assert len({(look.marker, str(look.line)) for look in looks.values()}) == 18


def test_an_estimator_keeps_its_colour_and_a_kind_its_line_whatever_else_is_shown():
    few = style.looks(frame(("a", "mc_dropout", "top1_similarity")))
    many = style.looks(frame(*((kind, kind, e) for kind, e in product(KINDS, KNOWN))))
    one, other = few["a", "top1_similarity"], many["mc_dropout", "top1_similarity"]
    assert (one.colour, one.marker, one.line, one.face) == (other.colour, other.marker, other.line, other.face)


@pytest.mark.parametrize("kind", [*KINDS, "laplace"])
def test_two_posteriors_of_one_kind_differ_in_line_and_width(kind):
    looks = style.looks(frame(("small", kind, "top1_similarity"), ("large", kind, "top1_similarity")))
    small, large = looks["small", "top1_similarity"], looks["large", "top1_similarity"]
    assert small.line != large.line
    assert small.width > 1.5 * large.width  # the first is the one that stands out
    drawn = [style.handle(look, "").get_linewidth() for look in (small, large)]
    assert drawn == [small.width, large.width]


def test_two_posteriors_of_one_kind_differ_in_name():
    looks = style.looks(frame(("small", "ensemble", "top1_similarity"), ("large", "ensemble", "top1_similarity")))
    small, large = looks["small", "top1_similarity"], looks["large", "top1_similarity"]
    assert (small.label, large.label) == ("Top-1 similarity, ensemble (small)", "Top-1 similarity, ensemble (large)")


def test_two_encoders_are_called_by_their_architectures():
    rows = frame(("a", "mc_dropout", "top1_similarity"), ("b", "mc_dropout", "top1_similarity"))
    looks = style.looks(rows.assign(architecture=["ViT-L-14", "ViT-B-32"]))
    assert [look.label for look in looks.values()] == [
        "Top-1 similarity, MC dropout, ViT-L-14",
        "Top-1 similarity, MC dropout, ViT-B-32",
    ]


def test_labels_win_over_the_words_we_know():
    rows = frame(("p", "deterministic", "top1_similarity"), ("p", "deterministic", "my_own"))
    looks = style.looks(rows, {"top1_similarity": "Cosine"})
    assert [look.label for look in looks.values()] == ["Cosine, deterministic", "My own, deterministic"]


def test_settings_are_put_back():
    before = dict(mpl.rcParams)
    with style.settings():
        assert mpl.rcParams["pdf.fonttype"] == 42
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    ("number", "text"), [(0.955, "0.95"), (-0.5, "−0.50"), (-0.001, "0.00"), (float("nan"), "undefined")]
)
def test_bracket(number, text):
    assert bracket(number, 2) == text


def test_save_gives_the_same_bytes_from_separate_figures_and_leaves_nothing_else(tmp_path, world, first_methods):
    curves, _, metrics = world(directions=("t2i",), pairs=first_methods(3), queries=(200,))
    for run in "ab":
        style.save(calibration_figure(curves, metrics), tmp_path / run / "f.pdf", tmp_path / run / "f.png")
    for name in ("f.pdf", "f.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["f.pdf", "f.png"]


def test_files_tell_no_date_and_hold_true_type_fonts(tmp_path):
    figure = Figure(figsize=(1, 1))
    figure.text(0.1, 0.5, "word")
    style.save(figure, tmp_path / "f.pdf", tmp_path / "f.png")
    pdf = (tmp_path / "f.pdf").read_bytes()
    assert b"CreationDate" not in pdf
    assert b"CIDFontType2" in pdf
    assert b"Type3" not in pdf
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


def test_figures_load_neither_pyplot_nor_torch():
    modules = ["calibration", "cascade", "rejection", "sensitivity", "words"]
    code = (
        f"import sys, overtop.tables; from overtop.figures import {', '.join(modules)}; "
        "print([m for m in ('torch', 'matplotlib.pyplot') if m in sys.modules])"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert shown.stdout.strip() == "[]"
