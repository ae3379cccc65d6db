import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from helpers.metric_rows import metrics, recalls
from overtop.tables.published import Published
from overtop.tables.rows import tidy
from overtop.tables.typeset import to_latex, to_markdown

NBSP = "\N{NO-BREAK SPACE}"
PAPER = Published("table1", {"mscoco": "coco", "flickr30k": "flickr30k"})


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
    assert re.findall(r"^### (.*)$", text, flags=re.M) == ["Shapes"] * 4
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
    markdown, (coco, flickr) = to_markdown(tidy([given])), to_latex(tidy([given])).split("\n\n")
    for text in (markdown, coco):
        assert "Items skipped: MSCOCO: 3. Captions truncated: MSCOCO: 12." in text
        assert "MSCOCO, text to image: 1,990 to 2,000;" in text
    assert "skipped" not in flickr
    assert "truncated" not in flickr


def test_undefined_is_a_dash():
    table = tidy([metrics().assign(spearman=np.nan, neg_sr2=np.nan)])
    assert "| – |" in to_markdown(table)
    assert " & -- & " in to_latex(table)


def test_latex_is_well_formed():
    text = to_latex(tidy([metrics(("coco", "flickr30k"), ("published", "corrected"))]), name="demo")
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


def test_names_are_escaped():
    strange = {"dataset": "a_b&c%#", "estimator": "x^y~z", "posterior": "p_q"}
    given = metrics().drop_duplicates("direction").assign(**strange)
    given = pd.concat([given, given.assign(posterior="p|r", spearman=-0.1)])
    latex, markdown = to_latex(tidy([given])), to_markdown(tidy([given]))
    assert r"\caption{A b\&c\%\#. How" in latex
    assert r"X\textasciicircum{}y\textasciitilde{}z, deterministic (p\_q)" in latex
    assert r"deterministic (p\_q)" in markdown
    assert r"deterministic (p\|r)" in markdown


def test_labels_win():
    text = to_markdown(tidy([metrics()]), {"shapes": "Drawn scenes", "top1_similarity": "Cosine"})
    assert "Cosine, deterministic" in text
    assert "### Drawn scenes" in text
    assert "| image to text<br>S |" in text


def test_every_number_stands_over_its_interval():
    given = metrics().assign(
        spearman=-0.5, spearman_low=-0.75, spearman_high=0.001, aurc=0.2, aurc_low=0.1, aurc_high=0.3
    )
    markdown, latex = to_markdown(tidy([given])), to_latex(tidy([given]))
    assert f"**-0.50**<br>[-0.75,{NBSP}0.00]" in markdown  # which no narrow window breaks
    assert f"**0.200**<br>[0.100,{NBSP}0.300]" in markdown
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


def test_the_paper_stands_under_ours():
    table = tidy([metrics(("mscoco",), binnings=("equal_width", "equal_count")).assign(architecture="ViT-L-14")])
    markdown, latex = to_markdown(table, published=PAPER), to_latex(table, published=PAPER)
    width, count = markdown.split("\n## ")
    row = next(line for line in width.splitlines() if line.startswith("| Top-1 consistency, MC dropout"))
    thirds = [cell.split("<br>")[2:] for cell in row.strip("| ").split(" | ")[1:]]
    paper = ("-1.00", "0.88", "0.88", "", "-1.00", "0.96", "0.96", "")
    assert thirds == [[f"paper{NBSP}{number}"] if number else [] for number in paper]
    assert "Third line: what the paper says, Table 1 of Gomez (2025; ViT-L/14" in width
    assert "paper" not in count
    lines = latex.splitlines()
    under = lines[next(i for i, line in enumerate(lines) if line.startswith("Top-1 consistency, MC dropout")) + 2]
    assert re.findall(r"\$(.*?)\$", under) == ["-1.00", "0.88", "0.88", "-1.00", "0.96", "0.96"]
    assert under.count("&") == 8


def test_without_a_reference_nothing_is_said_of_the_paper():
    assert "paper" not in to_markdown(tidy([metrics(("mscoco",))]))
    # Nor where the paper has nothing to say: another architecture, another data set.
    assert "paper" not in to_markdown(tidy([metrics(("mscoco",))]), published=PAPER)
    assert "paper" not in to_latex(tidy([metrics().assign(architecture="ViT-L-14")]), published=PAPER)


def test_a_dagger_where_an_encoder_is_off():
    off = {("mscoco", "mc_dropout-0"): -3.25, ("mscoco", "deterministic-0"): 0.2, ("flickr30k", "mc_dropout-0"): 0.0}
    published = Published(recalls=recalls(off))
    table = tidy([metrics(("mscoco", "flickr30k"))])
    markdown, latex = to_markdown(table, published=published), to_latex(table, published=published)
    coco, flickr = markdown.split("### Flickr30K")
    assert len(re.findall(r"^\| .*MC dropout† \|", coco, flags=re.M)) == 3
    assert "deterministic†" not in markdown
    assert not re.search(r"^\| .*†", flickr, flags=re.M)
    said = "Rests on encoders whose recall is more than 0.5 points off what is published, with the largest difference: "
    assert said + "MSCOCO: mc\\_dropout-0 (text to image R@5 -3.2)." in markdown
    assert r"MC dropout$^\dagger$ &" in latex
    assert "dagger" not in latex.split("\n\n")[1]


def test_encoders_that_nothing_is_published_of_are_named():
    published = Published(recalls=recalls({("mscoco", "mc_dropout-0"): None, ("mscoco", "deterministic-0"): 0.0}))
    assert "No recall is published of MSCOCO: mc\\_dropout-0." in to_markdown(
        tidy([metrics(("mscoco",))]), None, published
    )
    # Of a data set that is no benchmark nobody expects it.
    elsewhere = Published(recalls=recalls({("mscoco", "mc_dropout-0"): None}, benchmark=None))
    assert "No recall" not in to_markdown(tidy([metrics(("mscoco",))]), None, elsewhere)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles_and_fits_a_page(tmp_path):
    given = metrics(("mscoco", "flickr30k"), kinds=("deterministic", "mc_dropout", "ensemble"))
    given["p_holm"] = given["p_holm"] / 20
    table = tidy([given.assign(architecture="ViT-L-14", n_truncated=7)])
    off = recalls({("mscoco", "ensemble-0"): -3.0, ("mscoco", "deterministic-0"): None})
    published = Published(PAPER.reference, PAPER.benchmarks, off)
    packages = r"\usepackage[a4paper,margin=1.5cm]{geometry}\usepackage{booktabs}"
    text = to_latex(table, published=published)
    document = rf"\documentclass{{article}}{packages}\begin{{document}}{text}\end{{document}}"
    (tmp_path / "page.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout
    assert "Overfull" not in said.stdout
    assert "too large" not in said.stdout
