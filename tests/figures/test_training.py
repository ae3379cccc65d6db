import numpy as np
import pandas as pd
import pytest

from helpers.axes import legend_texts, line_points
from overtop.errors import OvertopError
from overtop.figures import style
from overtop.figures.draw import draw_training
from overtop.figures.training import MAX_POINTS, plot_accuracies, plot_losses, training_figure, training_numbers


def make_log(epochs=4, steps=5, terms=("cross_entropy", "kl_dirichlet"), robust=(0.1, 0.3, 0.4, 0.4, 0.2)):
    total = epochs * steps
    step = np.arange(total + 1)
    log = pd.DataFrame({"step": step, "epoch": -(-step // steps), "learning_rate": 0.1 * (1 - step / total)})
    for number, term in enumerate(terms):
        log[term] = np.where(step > 0, np.exp(-step / total) / 10**number, np.nan)
    log.insert(3, "loss", log[list(terms)].sum(axis=1, min_count=1))
    is_end = step % steps == 0
    log["val_clean"] = np.where(is_end, 0.6 - 0.01 * step / steps, np.nan)
    log["val_robust"] = np.nan
    log.loc[is_end, "val_robust"] = robust[: epochs + 1]
    log["val_score"] = 2 * log["val_clean"] * log["val_robust"] / (log["val_clean"] + log["val_robust"])
    return log


def test_numbers_are_those_of_the_log():
    log = make_log()
    numbers = training_numbers(log.assign(encoder="a"))
    for quantity in ("loss", "cross_entropy", "kl_dirichlet", "val_clean", "val_robust"):
        rows, expected = numbers[numbers["quantity"] == quantity], log.dropna(subset=[quantity])
        assert rows["step"].tolist() == expected["step"].tolist()
        np.testing.assert_allclose(rows["value"], expected[quantity])


def test_chosen_epoch_is_the_first_with_the_largest_score_after_training_started():
    log = make_log(robust=(0.9, 0.3, 0.4, 0.2, 0.4))
    log["val_clean"] = np.where(log["val_clean"].notna(), 0.6, np.nan)
    log["val_score"] = 2 * log["val_clean"] * log["val_robust"] / (log["val_clean"] + log["val_robust"])
    numbers = training_numbers(log.assign(encoder="a"))
    assert numbers.loc[numbers["chosen"], "epoch"].unique().tolist() == [2]


def test_loss_of_a_single_term_is_drawn_once():
    numbers = training_numbers(make_log(terms=("cross_entropy",)).assign(encoder="a"))
    assert set(numbers["quantity"]) == {"loss", "val_clean", "val_robust"}


def test_many_steps_are_averaged_in_blocks():
    log = make_log(epochs=4, steps=151)
    numbers = training_numbers(log.assign(encoder="a"))
    rows = numbers[numbers["quantity"] == "loss"]
    assert len(rows) == 151 <= MAX_POINTS
    np.testing.assert_allclose(rows["value"].iloc[0], log["loss"][1:5].mean())
    assert rows["step"].iloc[0] == 4


def test_lines_show_exactly_the_numbers():
    numbers = training_numbers(make_log().assign(encoder="a"))
    losses = numbers[~numbers["quantity"].isin(["val_clean", "val_robust"])]
    assert line_points(plot_losses(numbers).lines) == set(losses[["step", "value"]].itertuples(index=False, name=None))
    accuracies = numbers[numbers["quantity"].isin(["val_clean", "val_robust"])]
    lines = [line for line in plot_accuracies(numbers).lines if len(line.get_xdata()) > 2]
    assert line_points(lines) == set(accuracies[["epoch", "value"]].itertuples(index=False, name=None))


def test_legend_names_terms_and_the_chosen_epoch():
    numbers = training_numbers(make_log().assign(encoder="a"))
    assert legend_texts(plot_losses(numbers)) == ["Loss", "Cross entropy", "KL Dirichlet"]
    assert legend_texts(plot_accuracies(numbers)) == [
        "Clean [58.0%]", "Under the attack of the training [40.0%]", "Epoch that was written: 2"
    ]  # fmt: skip


def test_figure_has_a_row_per_encoder_with_the_same_scale_of_accuracies():
    numbers, figure = draw_training([("a", make_log()), ("b", make_log(terms=("squared_distance",)))])
    assert numbers["encoder"].unique().tolist() == ["a", "b"]
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["a", "a", "b", "b"]
    assert figure.axes[1].get_ylim() == figure.axes[3].get_ylim()


def test_panel_of_several_encoders_is_rejected():
    numbers, _ = draw_training([("a", make_log()), ("b", make_log())])
    with pytest.raises(OvertopError, match="a panel of losses shows one value, not a, b"):
        plot_losses(numbers)


def test_log_without_rows_is_rejected():
    with pytest.raises(OvertopError, match="training log: no rows"):
        training_numbers(make_log().assign(encoder="a").head(0))


def test_nothing_overlaps_or_leaves_the_page():
    terms = ("cross_entropy", "maps_adversarial", "maps_clean")
    numbers = pd.concat([training_numbers(make_log(terms=terms).assign(encoder=name)) for name in "ab"])
    figure = training_figure(numbers)
    with style.figure_style():
        figure.draw_without_rendering()
    for ax in figure.axes:
        for box in (ax.artists[-1].get_window_extent(), ax.title.get_window_extent(), ax.get_tightbbox()):
            assert figure.bbox.contains(box.x0, box.y0)
            assert figure.bbox.contains(box.x1, box.y1)
        assert ax.artists[-1].get_window_extent().y1 < ax.xaxis.label.get_window_extent().y0
