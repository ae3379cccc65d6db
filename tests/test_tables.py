import io
import re
from itertools import product

import numpy as np
import pandas as pd
import pytest

from overtop.errors import OvertopError
from overtop.files import write_table
from overtop.tables import COLUMNS, KEY, closing_words, summary, tidy, to_latex, to_markdown, wide

KINDS = ("deterministic", "mc_dropout")
ESTIMATORS = ("top1_similarity", "top1_consistency", "adversarial_pgd")


def metrics(datasets=("shapes",), protocols=("corrected",), binnings=("equal_width",), seed=0):
    """A plausible table: consistency only where there are samples."""
    rng = np.random.default_rng(seed)
    rows = []
    for keys in product(datasets, ("t2i", "i2t"), KINDS, ESTIMATORS, protocols, binnings, ("labelled",)):
        dataset, direction, kind, estimator, *_ = keys
        if kind == "deterministic" and estimator == "top1_consistency":
            continue
        s, r2 = -rng.uniform(0.5, 1), rng.uniform(0.5, 1)
        rows.append(
            dict(zip(KEY, (dataset, direction, f"my-{kind}", *keys[3:]), strict=True))
            | {"kind": kind, "n_queries": 2000 if direction == "t2i" else 400, "n_bins": 10, "recall_at_1": 1 / 3}
            | {"spearman": s, "r2": r2, "neg_sr2": -s * r2, "rejection_auc": 0.7, "oracle_auc": 0.9}
            | {"n_skipped": 0, "n_truncated": 0}
        )
    return pd.DataFrame(rows)


def test_tidy_puts_rows_and_columns_in_order_whatever_order_they_come_in():
    given = metrics(("zebra", "shapes"), ("published", "corrected"), ("equal_count", "equal_width"))
    expected = tidy([given])
    assert list(expected.columns) == COLUMNS
    rest = given[given["dataset"] != "zebra"]
    shuffled = [f.sample(frac=1, random_state=1)[COLUMNS[::-1]] for f in (given[given["dataset"] == "zebra"], rest)]
    pd.testing.assert_frame_equal(tidy(shuffled), expected)
    assert list(expected["dataset"].unique()) == ["zebra", "shapes"]
    assert list(expected["direction"].unique()) == ["t2i", "i2t"]
    assert list(expected["kind"].unique()) == ["deterministic", "mc_dropout"]
    assert list(expected["estimator"].unique()[:2]) == ["top1_similarity", "adversarial_pgd"]
    assert list(expected["protocol"].unique()) == ["corrected", "published"]
    assert list(expected["binning"].unique()) == ["equal_width", "equal_count"]


def test_tidy_keeps_further_columns_behind_ours():
    table = tidy([metrics().assign(paper_neg_sr2=0.95)])
    assert list(table.columns) == [*COLUMNS, "paper_neg_sr2"]


def test_csv_is_stable_and_survives_a_round_trip(tmp_path):
    given = metrics()
    write_table(tmp_path / "a.csv", tidy([given]))
    noisy = given.assign(spearman=given["spearman"] * (1 + 1e-15), rejection_auc=0.7 - 1e-12)
    write_table(tmp_path / "b.csv", tidy([noisy]))
    text = (tmp_path / "a.csv").read_text()
    assert text == (tmp_path / "b.csv").read_text()
    assert ",0.333333," in text
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(text)), tidy([given]), check_dtype=False)


def test_counts_stay_whole_and_zero_has_no_sign():
    table = tidy([metrics().astype({"n_truncated": "float"}).assign(neg_sr2=-1e-9)])
    assert str(table["n_truncated"].dtype) == "int64"
    assert not np.signbit(table["neg_sr2"]).any()


def test_duplicates_are_refused_by_name():
    with pytest.raises(OvertopError, match=r"two rows for dataset=shapes, .*estimator=top1_similarity"):
        tidy([metrics(), metrics().head(1)])


def test_nothing_and_missing_columns_are_refused():
    with pytest.raises(OvertopError, match="no rows"):
        tidy([metrics().iloc[:0]])
    with pytest.raises(OvertopError, match="without kind, r2"):
        tidy([metrics().drop(columns=["kind", "r2"])])


def test_wide_is_the_layout_of_the_paper():
    table = tidy([metrics(("coco", "flickr30k"))])
    grid = wide(table)
    assert list(grid.index) == [
        ("top1_similarity", "my-deterministic"),
        ("adversarial_pgd", "my-deterministic"),
        ("top1_similarity", "my-mc_dropout"),
        ("top1_consistency", "my-mc_dropout"),
        ("adversarial_pgd", "my-mc_dropout"),
    ]
    measures = ("spearman", "r2", "neg_sr2")
    assert list(grid.columns) == [(d, w, m) for d in ("coco", "flickr30k") for w in ("i2t", "t2i") for m in measures]


def test_wide_cells_are_the_rows_of_the_long_table():
    table = tidy([metrics(("coco", "flickr30k"))])
    grid = wide(table)
    for row in table.itertuples():
        for measure in ("spearman", "r2", "neg_sr2"):
            cell = grid.loc[(row.estimator, row.posterior), (row.dataset, row.direction, measure)]
            assert cell == getattr(row, measure)
    assert grid.notna().sum().sum() == 3 * len(table)


def test_wide_leaves_a_hole_for_what_was_not_run():
    table = tidy([metrics(("coco", "flickr30k"))])
    gone = (table["dataset"] == "coco") & (table["estimator"] == "adversarial_pgd")
    grid = wide(table[~gone])
    assert grid.loc["adversarial_pgd", "coco"].isna().all(axis=None)
    assert grid.loc["adversarial_pgd", "flickr30k"].notna().all(axis=None)


def test_wide_refuses_two_protocols():
    with pytest.raises(OvertopError, match="protocol: a wide table shows one value, not corrected, published"):
        wide(tidy([metrics(protocols=("published", "corrected"))]))


def test_markdown_has_a_block_per_setup_and_bold_at_the_best():
    text = to_markdown(tidy([metrics(protocols=("published", "corrected"), binnings=("equal_width", "equal_count"))]))
    assert re.findall(r"^## (.*)$", text, flags=re.M) == [
        "Corrected protocol; bins of equal width; labelled positives",
        "Corrected protocol; bins of equal count; labelled positives",
        "Published protocol; bins of equal width; labelled positives",
        "Published protocol; bins of equal count; labelled positives",
    ]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {8}
    assert "Top-1 similarity, MC dropout" in text
    assert "Shapes, text to image: 2,000" in text


def test_bold_marks_the_best_of_every_column_and_all_that_tie_with_it():
    given = metrics()
    given["spearman"] = [-0.9, -0.999, -0.5, -1.0, 0.2] * 2
    given["r2"] = [0.1, 0.2, 0.3, 0.4, 0.5] * 2
    rows = [line for line in to_markdown(tidy([given])).splitlines() if line.startswith("| ")][2:]
    spearman, r2 = ([row.split(" | ")[column] for row in rows] for column in (1, 2))
    assert spearman == ["-0.90", "**-1.00**", "-0.50", "**-1.00**", "0.20"]
    assert r2 == ["0.10", "0.20", "0.30", "0.40", "**0.50**"]


def test_captions_count_what_was_lost_only_if_something_was():
    assert "truncated" not in to_markdown(tidy([metrics()]))
    given = metrics(("coco", "flickr30k"))
    coco = given["dataset"] == "coco"
    given.loc[coco, "n_skipped"] = 3
    given.loc[coco & (given["kind"] == "mc_dropout"), "n_truncated"] = 12
    given.loc[coco & (given["direction"] == "t2i") & (given["kind"] == "mc_dropout"), "n_queries"] = 1990
    text = to_latex(tidy([given]))
    assert "Items skipped: MSCOCO: 3. Captions truncated: MSCOCO: 12." in text
    assert "MSCOCO, text to image: 1,990 to 2,000;" in text


def test_undefined_is_a_dash():
    table = tidy([metrics().assign(spearman=np.nan, neg_sr2=np.nan)])
    assert "| – |" in to_markdown(table)
    assert " & -- & " in to_latex(table)


def test_latex_is_well_formed():
    text = to_latex(tidy([metrics(("coco", "flickr30k"), ("published", "corrected"))]), name="demo")
    assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") == 2
    assert r"\label{tab:demo-corrected-equal_width-labelled}" in text
    assert r" & \multicolumn{6}{c}{MSCOCO} & \multicolumn{6}{c}{Flickr30K} \\" in text
    assert r"\cmidrule(lr){2-4} \cmidrule(lr){5-7} \cmidrule(lr){8-10} \cmidrule(lr){11-13}" in text
    body = [line for line in text.splitlines() if line.startswith(("Top-1", "Adversarial", "Method"))]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {12}
    assert re.search(r"\$\\mathbf\{-?\d\.\d\d\}\$", text)
    assert text.count("{") == text.count("}")


def test_names_are_escaped():
    strange = {"dataset": "a_b&c%#", "estimator": "x^y~z", "posterior": "p_q"}
    given = metrics().drop_duplicates("direction").assign(**strange)
    given = pd.concat([given, given.assign(posterior="p|r", spearman=-0.1)])
    latex, markdown = to_latex(tidy([given])), to_markdown(tidy([given]))
    assert r"{A b\&c\%\#}" in latex
    assert r"X\textasciicircum{}y\textasciitilde{}z, deterministic (p\_q)" in latex
    assert r"deterministic (p\_q)" in markdown
    assert r"deterministic (p\|r)" in markdown


def test_labels_win():
    text = to_markdown(tidy([metrics()]), {"shapes": "Drawn scenes", "top1_similarity": "Cosine"})
    assert "Cosine, deterministic" in text
    assert "Drawn scenes<br>image to text<br>S" in text


def test_the_summary_names_the_best_method_of_each_panel():
    table = metrics(protocols=("published", "corrected"))
    best = (table["direction"] == "t2i") & (table["estimator"] == "adversarial_pgd") & (table["kind"] == "mc_dropout")
    table.loc[best & (table["protocol"] == "corrected"), "rejection_auc"] = 0.8
    table.loc[best & (table["protocol"] == "published"), "rejection_auc"] = 0.85
    lines = summary(table)
    assert len(lines) == 2
    assert lines[0].startswith("Shapes, text to image (2,000 queries): R@1 0.333; best by rejection: Adversarial (PGD)")
    assert lines[0].endswith("MC dropout, area 0.800 of at most 0.900")


def test_the_closing_words_name_what_is_there(tmp_path):
    (tmp_path / "tables").mkdir()
    write_table(tmp_path / "tables" / "mine.csv", tidy([metrics()]))
    text = closing_words([str(tmp_path / "tables" / "mine.csv"), str(tmp_path / "figures" / "gone.pdf")])
    assert "overtop: done." in text
    assert "mine.csv" in text
    assert "R@1 0.333" in text
    assert "gone" not in text
