import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from overtop.errors import OvertopError
from overtop.evaluation.attack_effects import LOWERS, RAISES, UNDECIDED
from overtop.evaluation.scored_views import ALL, ATTACKED, RIGHT_BEFORE
from overtop.figures.attack_effects import attack_effect_figure, attack_effect_numbers, plot_attack_effect
from overtop.terms import CLEAN

MODELS = ("CLIP", "UCAT")
ESTIMATORS = ("entropy", "dirichlet_vacuity")


def make_values(models=MODELS, estimators=ESTIMATORS, n=30):
    rng = np.random.default_rng(0)
    parts = [
        pd.DataFrame({"uncertainty": rng.lognormal(0.5 * (view == ATTACKED), 0.3, n)}).assign(
            estimator=estimator, images=images, view=view, model=model, dataset="shapes"
        )
        for model in models
        for estimator in estimators
        for images in (ALL, RIGHT_BEFORE)
        for view in (CLEAN, ATTACKED)
    ]
    return pd.concat(parts, ignore_index=True)


def make_effects(verdicts=(RAISES, UNDECIDED)):
    rows = [
        ("shapes", model, "pgd-1", estimator, images, 0.5 if verdict == RAISES else -0.02, verdict)
        for model, verdict in zip(MODELS, verdicts, strict=True)
        for estimator in ESTIMATORS
        for images in (ALL, RIGHT_BEFORE)
    ]
    columns = ["dataset", "model", "attack", "estimator", "images", "difference", "verdict"]
    return pd.DataFrame(rows, columns=columns).assign(clean_sd=0.25, difference_low=-1.0, difference_high=1.0)


def panel(table, estimator="entropy", images=ALL):
    return table[(table["estimator"] == estimator) & (table["images"] == images)]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_numbers_are_quantiles_and_the_effect_of_each_model():
    values = make_values()
    numbers = attack_effect_numbers(values, make_effects())
    assert len(numbers) == 2 * 2 * 2 * 2
    row = numbers.query("model == 'UCAT' and estimator == 'entropy' and images == 'all' and view == 'clean'").iloc[0]
    of_row = panel(values).query("model == 'UCAT' and view == 'clean'")["uncertainty"]
    expected = [30, of_row.mean(), *np.quantile(of_row, [0.05, 0.25, 0.5, 0.75, 0.95])]
    np.testing.assert_allclose(row[["n_pairs", "mean", "q05", "q25", "q50", "q75", "q95"]].astype(float), expected)
    assert row[["difference", "verdict", "attack"]].tolist() == [-0.02, UNDECIDED, "pgd-1"]


def test_changes_are_in_standard_deviations_with_the_sign_of_the_verdict():
    ax = Figure().subplots()
    assert plot_attack_effect(panel(make_values()), panel(make_effects()), ax) is ax
    assert texts(ax) == ["▲ +2.00", "−0.08"]
    lowered = panel(make_effects((RAISES, LOWERS)))
    assert texts(plot_attack_effect(panel(make_values()), lowered, Figure().subplots())) == ["▲ +2.00", "▼ −0.08"]
    assert [label.get_text() for label in ax.get_xticklabels()] == list(MODELS)


def test_long_upper_tail_has_a_logarithmic_axis_unless_values_reach_zero():
    values, effects = panel(make_values()), panel(make_effects())
    assert plot_attack_effect(values, effects, Figure().subplots()).get_yscale() == "linear"
    values.iloc[0, values.columns.get_loc("uncertainty")] = 1000.0
    assert plot_attack_effect(values, effects, Figure().subplots()).get_yscale() == "log"
    values.iloc[1, values.columns.get_loc("uncertainty")] = 0.0
    assert plot_attack_effect(values, effects, Figure().subplots()).get_yscale() == "linear"


def test_figure_has_a_row_per_estimator_and_sets_of_images_side_by_side():
    values = make_values()
    values.loc[0, "uncertainty"] = 1000.0  # in one panel of the row; both have the same axis
    figure = attack_effect_figure(values, make_effects())
    axes = figure.axes
    assert [ax.get_ylabel() for ax in axes] == ["Dirichlet vacuity (EU)", "", "Entropy (PU)", ""]
    assert [ax.get_title(loc="left") for ax in axes[:2]] == ["All images", "Right before the attack"]
    assert [ax.get_yscale() for ax in axes] == ["linear", "linear", "log", "log"]
    assert axes[2].get_ylim() == axes[3].get_ylim()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [CLEAN, ATTACKED]


def test_constant_and_single_uncertainties_are_drawn():
    values = make_values()
    values["uncertainty"] = 1.0
    assert attack_effect_figure(values, make_effects()).axes
    single = values.groupby(["model", "estimator", "images", "view"]).head(1)
    assert attack_effect_figure(single, make_effects()).axes


def test_several_attacks_or_no_rows_are_refused():
    several = pd.concat([make_effects(), make_effects().assign(attack="cw-1")])
    with pytest.raises(OvertopError, match="attack: a figure of an attack's effect shows one value, not cw-1, pgd-1"):
        attack_effect_figure(make_values(), several)
    with pytest.raises(OvertopError, match="effects: no rows"):
        attack_effect_figure(make_values(), make_effects()[:0])
