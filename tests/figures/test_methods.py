from itertools import product

import pandas as pd
import pytest

from overtop.figures.method_styles import ESTIMATOR_STYLES, assign_styles
from overtop.figures.methods import Method, format_value

KINDS = ("deterministic", "mc_dropout", "ensemble")


def make_methods(*rows):
    return pd.DataFrame(rows, columns=["posterior", "kind", "estimator"])


def all_methods(estimators):
    return make_methods(*((kind, kind, estimator) for kind, estimator in product(KINDS, estimators)))


def test_every_method_has_its_own_style():
    styles = assign_styles(all_methods([*ESTIMATOR_STYLES, "mine", "yours"]))
    distinct = {(style.colour, style.marker, str(style.line_style)) for style in styles.values()}
    assert len(distinct) == len(styles) == 3 * (len(ESTIMATOR_STYLES) + 2)


def test_every_method_of_the_paper_has_its_own_style_without_colour():
    adversarial = [name for name in ESTIMATOR_STYLES if "adversarial" in name]
    styles = assign_styles(all_methods(["top1_similarity", "top1_consistency", "topk_consistency", *adversarial]))
    assert len({(style.marker, str(style.line_style)) for style in styles.values()}) == 18


def test_style_does_not_depend_on_the_other_methods():
    one = assign_styles(make_methods(("a", "mc_dropout", "top1_similarity")))["a", "top1_similarity"]
    other = assign_styles(all_methods(ESTIMATOR_STYLES))["mc_dropout", "top1_similarity"]
    assert (one.colour, one.marker, one.line_style, one.fill) == (
        other.colour,
        other.marker,
        other.line_style,
        other.fill,
    )


@pytest.mark.parametrize("kind", [*KINDS, "laplace"])
def test_posteriors_of_one_kind_differ_in_line_style_and_width(kind):
    rows = make_methods(("small", kind, "top1_similarity"), ("large", kind, "top1_similarity"))
    small, large = assign_styles(rows).values()
    assert small.line_style != large.line_style
    assert small.width > 1.5 * large.width  # the first is more visible
    widths = [Method(rows, style, "").legend_handle().get_linewidth() for style in (small, large)]
    assert widths == [small.width, large.width]


def test_posteriors_of_one_kind_differ_in_label():
    rows = make_methods(("small", "ensemble", "top1_similarity"), ("large", "ensemble", "top1_similarity"))
    assert [style.label for style in assign_styles(rows).values()] == [
        "Top-1 similarity, ensemble (small)",
        "Top-1 similarity, ensemble (large)",
    ]


def test_posteriors_of_different_architectures_are_labelled_by_them():
    rows = make_methods(("a", "mc_dropout", "top1_similarity"), ("b", "mc_dropout", "top1_similarity"))
    styles = assign_styles(rows.assign(architecture=["ViT-L-14", "ViT-B-32"]))
    assert [style.label for style in styles.values()] == [
        "Top-1 similarity, MC dropout, ViT-L-14",
        "Top-1 similarity, MC dropout, ViT-B-32",
    ]


def test_other_estimators_are_labelled_by_their_name():
    styles = assign_styles(make_methods(("p", "deterministic", "my_own")))
    assert [style.label for style in styles.values()] == ["My own, deterministic"]


@pytest.mark.parametrize(("number", "text"), [(0.955, "0.95"), (-0.5, "−0.50"), (-0.001, "0.00"), (float("nan"), "–")])
def test_format_value_has_a_real_minus_and_no_negative_zero(number, text):
    assert format_value(number, 2) == text
