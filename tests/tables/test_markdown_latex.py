"""Markdown and LaTeX of the same blocks."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_tables import make_metrics, make_recalls
from overtop.tables.blocks import render_rows, split_into_blocks
from overtop.tables.latex import to_latex
from overtop.tables.markdown import to_markdown
from overtop.tables.published import PublishedNumbers
from overtop.tables.rows import combine_metrics

NBSP = "\N{NO-BREAK SPACE}"
PAPER = PublishedNumbers("table1", {"mscoco": "coco", "flickr30k": "flickr30k"})


def test_markdown_has_a_section_per_setup():
    metrics = make_metrics(protocols=("published", "corrected"), binnings=("equal_width", "equal_count"))
    text = to_markdown(combine_metrics([metrics]))
    assert re.findall(r"^## (.*)$", text, flags=re.M) == [
        "Corrected protocol; bins of equal width; labelled positives",
        "Corrected protocol; bins of equal count; labelled positives",
        "Published protocol; bins of equal width; labelled positives",
        "Published protocol; bins of equal count; labelled positives",
    ]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {10}
    assert re.findall(r"^### (.*)$", text, flags=re.M) == ["Shapes"] * 4
    assert "| image to text<br>S |" in text
    assert "Top-1 similarity, MC dropout" in text
    assert "Shapes, text to image: 2,000" in text


def test_all_numbers_that_look_equal_to_the_best_of_their_column_are_bold():
    metrics = make_metrics()
    metrics["spearman"] = [-0.9, -0.999, -0.5, -1.0, 0.2] * 2
    metrics["r2"] = [0.1, 0.2, 0.3, 0.4, 0.5] * 2
    rows = [line for line in to_markdown(combine_metrics([metrics])).splitlines() if line.startswith("| ")][2:]
    spearman, r2 = ([row.split(" | ")[column].split("<br>")[0] for row in rows] for column in (1, 2))
    assert spearman == ["-0.90", "**-1.00**", "-0.50", "**-1.00**", "0.20"]
    assert r2 == ["0.10", "0.20", "0.30", "0.40", "**0.50**"]


def test_caption_counts_skipped_and_truncated_items_only_if_there_are_any():
    assert "truncated" not in to_markdown(combine_metrics([make_metrics()]))
    metrics = make_metrics(("coco", "flickr30k"))
    coco = metrics["dataset"] == "coco"
    metrics.loc[coco, "n_skipped"] = 3
    metrics.loc[coco & (metrics["kind"] == "mc_dropout"), "n_truncated"] = 12
    fewer = coco & (metrics["direction"] == "t2i") & (metrics["kind"] == "mc_dropout")
    metrics.loc[fewer, "n_queries"] = 1990
    table = combine_metrics([metrics])
    markdown, (coco_latex, flickr_latex) = to_markdown(table), to_latex(table).split("\n\n")
    for text in (markdown, coco_latex):
        assert "Items skipped: MSCOCO: 3. Captions truncated: MSCOCO: 12." in text
        assert "MSCOCO, text to image: 1,990 to 2,000;" in text
    assert "skipped" not in flickr_latex
    assert "truncated" not in flickr_latex


def test_caption_counts_queries_with_absent_positives():
    assert "absent" not in to_markdown(combine_metrics([make_metrics()]))
    table = combine_metrics([make_metrics().assign(n_absent=lambda rows: rows["n_queries"] // 4)])
    counts = "absent from the gallery: Shapes, text to image: 500; Shapes, image to text: 100."
    assert counts in to_markdown(table)
    assert counts in to_latex(table)


def test_undefined_number_is_a_dash():
    table = combine_metrics([make_metrics().assign(spearman=np.nan, neg_sr2=np.nan)])
    assert "| – |" in to_markdown(table)
    assert " & -- & " in to_latex(table)
    assert "**–**" not in to_markdown(table)
    assert r"\mathbf{--}" not in to_latex(table)


def test_undefined_number_is_never_the_best():
    metrics = make_metrics(kinds=("deterministic",))
    metrics.loc[metrics["estimator"] == "top1_similarity", ["spearman", "r2", "neg_sr2"]] = np.nan
    (block,) = split_into_blocks(combine_metrics([metrics]), None)
    columns, rows = render_rows(block)
    for index, (_, name) in enumerate(columns):
        best = [row.method for row in rows if row.cells[index].best]
        assert len(best) >= 1
        if name != "aurc":
            assert all(cell.number != "–" or not cell.best for cell in (row.cells[index] for row in rows))
            assert not any("similarity" in method for method in best)


def test_latex_is_well_formed():
    metrics = make_metrics(("coco", "flickr30k"), ("published", "corrected"))
    text = to_latex(combine_metrics([metrics]), name="demo")
    assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") == 4
    for dataset in ("coco", "flickr30k"):
        assert rf"\label{{tab:demo-corrected-equal_width-labelled-{dataset}}}" in text
    assert text.count(r"\caption{MSCOCO. How well") == text.count(r"\caption{Flickr30K. How well") == 2
    assert r" & \multicolumn{4}{c}{image to text} & \multicolumn{4}{c}{text to image} \\" in text
    assert r"\cmidrule(lr){2-5} \cmidrule(lr){6-9}" in text
    body = [line for line in text.splitlines() if line.startswith(("Top-1", "Adversarial", "Method"))]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {8}
    assert re.search(r"\$\\mathbf\{-?\d\.\d\d\}\$", text)
    assert text.count("{") == text.count("}")


def test_special_characters_in_names_are_escaped():
    names = {"dataset": "a_b&c%#", "estimator": "x^y~z", "posterior": "p_q"}
    metrics = make_metrics().drop_duplicates("direction").assign(**names)
    metrics = pd.concat([metrics, metrics.assign(posterior="p|r", spearman=-0.1)])
    table = combine_metrics([metrics])
    latex, markdown = to_latex(table), to_markdown(table)
    assert r"\caption{A b\&c\%\#. How" in latex
    assert r"X\textasciicircum{}y\textasciitilde{}z, deterministic (p\_q)" in latex
    assert r"deterministic (p\_q)" in markdown
    assert r"deterministic (p\|r)" in markdown


def test_every_number_has_its_interval_below():
    metrics = make_metrics().assign(
        spearman=-0.5, spearman_low=-0.75, spearman_high=0.001, aurc=0.2, aurc_low=0.1, aurc_high=0.3
    )
    table = combine_metrics([metrics])
    markdown, latex = to_markdown(table), to_latex(table)
    assert f"**-0.50**<br>[-0.75,{NBSP}0.00]" in markdown  # a narrow window must not break it
    assert f"**0.200**<br>[0.100,{NBSP}0.300]" in markdown
    assert markdown.count("<br>[") == len(metrics) * 4
    assert r"{\tiny [-0.75, 0.00]}" in latex
    assert r"{\tiny [0.100, 0.300]}" in latex


def test_method_that_differs_from_the_reference_is_starred():
    metrics = make_metrics()
    assert "star" not in to_markdown(combine_metrics([metrics]))
    different = (metrics["estimator"] == "adversarial_pgd") & (metrics["kind"] == "mc_dropout")
    metrics.loc[different & (metrics["direction"] == "t2i"), "p_holm"] = 0.049
    table = combine_metrics([metrics])
    markdown, latex = to_markdown(table), to_latex(table)
    assert r"A star: AURC differs from Top-1 similarity (paired, Holm-adjusted p \< 0.05)" in markdown
    starred = [line for line in markdown.splitlines() if line.startswith("| ") and "\\*<br>" in line]
    assert len(starred) == 1
    assert starred[0].startswith("| Adversarial (PGD), MC dropout")
    assert latex.count("^{*}") == 1


def test_number_of_the_paper_is_below_ours():
    metrics = make_metrics(("mscoco",), binnings=("equal_width", "equal_count")).assign(architecture="ViT-L-14")
    table = combine_metrics([metrics])
    markdown, latex = to_markdown(table, PAPER), to_latex(table, PAPER)
    equal_width, equal_count = markdown.split("\n## ")
    row = next(line for line in equal_width.splitlines() if line.startswith("| Top-1 consistency, MC dropout"))
    third_lines = [cell.split("<br>")[2:] for cell in row.strip("| ").split(" | ")[1:]]
    paper = ("-1.00", "0.88", "0.88", "", "-1.00", "0.96", "0.96", "")
    assert third_lines == [[f"paper{NBSP}{number}"] if number else [] for number in paper]
    assert "Third line: the paper's number, Table 1 of Gomez (2025; ViT-L/14" in equal_width
    assert "paper" not in equal_count
    lines = latex.splitlines()
    method = next(i for i, line in enumerate(lines) if line.startswith("Top-1 consistency, MC dropout"))
    assert re.findall(r"\$(.*?)\$", lines[method + 2]) == ["-1.00", "0.88", "0.88", "-1.00", "0.96", "0.96"]
    assert lines[method + 2].count("&") == 8


def test_paper_is_not_mentioned_without_its_numbers():
    table = combine_metrics([make_metrics(("mscoco",))])
    assert "paper" not in to_markdown(table)
    assert "paper" not in to_markdown(table, PAPER), "the paper has no such architecture"
    other_dataset = combine_metrics([make_metrics().assign(architecture="ViT-L-14")])
    assert "paper" not in to_latex(other_dataset, PAPER)


def test_method_with_an_encoder_of_unexpected_recall_has_a_dagger():
    differences = {
        ("mscoco", "mc_dropout-0"): -3.25,
        ("mscoco", "deterministic-0"): 0.2,
        ("flickr30k", "mc_dropout-0"): 0.0,
    }
    published = PublishedNumbers(recalls=make_recalls(differences))
    table = combine_metrics([make_metrics(("mscoco", "flickr30k"))])
    markdown, latex = to_markdown(table, published), to_latex(table, published)
    coco, flickr = markdown.split("### Flickr30K")
    assert len(re.findall(r"^\| .*MC dropout† \|", coco, flags=re.M)) == 3
    assert "deterministic†" not in markdown
    assert not re.search(r"^\| .*†", flickr, flags=re.M)
    note = "recall differs from the published one by more than 0.5 points (largest difference in brackets): "
    assert note + "MSCOCO: mc\\_dropout-0 (text to image R@5 -3.2)." in markdown
    assert r"MC dropout$^\dagger$ &" in latex
    assert "dagger" not in latex.split("\n\n")[1]


def test_encoders_without_published_recall_are_named_on_benchmarks_only():
    table = combine_metrics([make_metrics(("mscoco",))])
    recalls = make_recalls({("mscoco", "mc_dropout-0"): None, ("mscoco", "deterministic-0"): 0.0})
    text = to_markdown(table, PublishedNumbers(recalls=recalls))
    assert "No recall is published for MSCOCO: mc\\_dropout-0." in text
    no_benchmark = make_recalls({("mscoco", "mc_dropout-0"): None}, benchmark=None)
    assert "No recall" not in to_markdown(table, PublishedNumbers(recalls=no_benchmark))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles_and_fits_a_page(tmp_path):
    metrics = make_metrics(("mscoco", "flickr30k"), kinds=("deterministic", "mc_dropout", "ensemble"))
    metrics["p_holm"] = metrics["p_holm"] / 20
    table = combine_metrics([metrics.assign(architecture="ViT-L-14", n_truncated=7)])
    recalls = make_recalls({("mscoco", "ensemble-0"): -3.0, ("mscoco", "deterministic-0"): None})
    published = PublishedNumbers(PAPER.reference, PAPER.benchmarks, recalls)
    packages = r"\usepackage[a4paper,margin=1.5cm]{geometry}\usepackage{booktabs}"
    text = to_latex(table, published)
    document = rf"\documentclass{{article}}{packages}\begin{{document}}{text}\end{{document}}"
    (tmp_path / "page.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert "Overfull" not in result.stdout
    assert "too large" not in result.stdout
