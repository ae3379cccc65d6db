import re

import numpy as np
import pandas as pd

from metric_rows import metrics
from overtop.tables import tidy, to_latex, to_markdown


def test_markdown_has_a_block_per_setup_and_bold_at_the_best():
    text = to_markdown(tidy([metrics(protocols=("published", "corrected"), binnings=("equal_width", "equal_count"))]))
    assert re.findall(r"^## (.*)$", text, flags=re.M) == [
        "Corrected protocol; bins of equal width; labelled positives",
        "Corrected protocol; bins of equal count; labelled positives",
        "Published protocol; bins of equal width; labelled positives",
        "Published protocol; bins of equal count; labelled positives",
    ]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {10}
    assert "Top-1 similarity, MC dropout" in text
    assert "Shapes, text to image: 2,000" in text


def test_bold_marks_the_best_of_every_column_and_all_that_tie_with_it():
    given = metrics()
    given["spearman"] = [-0.9, -0.999, -0.5, -1.0, 0.2] * 2
    given["r2"] = [0.1, 0.2, 0.3, 0.4, 0.5] * 2
    rows = [line for line in to_markdown(tidy([given])).splitlines() if line.startswith("| ")][2:]
    spearman, r2 = ([row.split(" | ")[column].split("<br>")[0] for row in rows] for column in (1, 2))
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
    assert r" & \multicolumn{8}{c}{MSCOCO} & \multicolumn{8}{c}{Flickr30K} \\" in text
    assert r"\cmidrule(lr){2-5} \cmidrule(lr){6-9} \cmidrule(lr){10-13} \cmidrule(lr){14-17}" in text
    body = [line for line in text.splitlines() if line.startswith(("Top-1", "Adversarial", "Method"))]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {16}
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


def test_every_number_stands_over_its_interval():
    given = metrics().assign(
        spearman=-0.5, spearman_low=-0.75, spearman_high=0.001, aurc=0.2, aurc_low=0.1, aurc_high=0.3
    )
    markdown, latex = to_markdown(tidy([given])), to_latex(tidy([given]))
    assert "**-0.50**<br>[-0.75, 0.00]" in markdown
    assert "**0.200**<br>[0.100, 0.300]" in markdown
    assert markdown.count("<br>[") == len(given) * 4
    assert r"{\tiny [-0.75, 0.00]}" in latex
    assert r"{\tiny [0.100, 0.300]}" in latex


def test_a_star_is_for_what_differs_from_the_reference():
    given = metrics()
    one = (given["estimator"] == "adversarial_pgd") & (given["kind"] == "mc_dropout") & (given["direction"] == "t2i")
    assert "star" not in to_markdown(tidy([given]))
    given.loc[one, "p_holm"] = 0.049
    table = tidy([given])
    markdown, latex = to_markdown(table), to_latex(table)
    assert "A star: AURC differs from Top-1 similarity (paired, Holm-adjusted p &lt; 0.05)" in markdown.replace(
        "\\<", "&lt;"
    )
    starred = [line for line in markdown.splitlines() if line.startswith("| ") and "\\*<br>" in line]
    assert len(starred) == 1
    assert starred[0].startswith("| Adversarial (PGD), MC dropout")
    assert latex.count("^{*}") == 1
