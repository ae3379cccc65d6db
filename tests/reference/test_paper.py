import pytest

from overtop.reference.paper import paper_table

# As printed in the paper's Table 1: image to text, then text to image, on MSCOCO; then on Flickr30K.
PRINTED = {
    ("probvlm", "deterministic"): "-0.99 0.93 0.93 -0.30 0.35 0.10 -0.70 0.71 0.49 0.70 0.50 0.35",
    ("top1_similarity", "deterministic"): "-1.00 0.95 0.95 -1.00 0.95 0.95 -0.98 0.86 0.84 -1.00 0.94 0.94",
    ("adversarial_pgd", "deterministic"): "-1.00 0.97 0.97 -1.00 0.99 0.99 -0.95 0.87 0.83 -1.00 0.96 0.96",
    ("adversarial_linear", "deterministic"): "-1.00 0.96 0.96 -1.00 0.98 0.98 -0.95 0.85 0.81 -1.00 0.92 0.92",
    ("top1_similarity", "mc_dropout"): "-0.92 0.88 0.82 -1.00 0.96 0.96 -0.97 0.85 0.83 -1.00 0.96 0.96",
    ("top1_consistency", "mc_dropout"): "-1.00 0.88 0.88 -1.00 0.96 0.96 -0.98 0.77 0.75 -1.00 0.99 0.99",
    ("adversarial_pgd", "mc_dropout"): "-1.00 0.99 0.99 -1.00 0.98 0.98 -0.96 0.93 0.89 -1.00 0.95 0.95",
    ("adversarial_linear", "mc_dropout"): "-1.00 0.97 0.97 -1.00 0.95 0.95 -1.00 0.95 0.95 -1.00 0.91 0.91",
    ("top1_similarity", "ensemble"): "-0.99 0.92 0.91 -1.00 0.95 0.95 -0.98 0.77 0.75 -0.90 0.85 0.77",
    ("top1_consistency", "ensemble"): "-1.00 0.91 0.91 -1.00 0.96 0.96 -0.98 0.90 0.88 -1.00 0.99 0.99",
    ("adversarial_pgd", "ensemble"): "-0.97 0.89 0.86 -0.99 0.90 0.89 -0.90 0.83 0.75 -1.00 0.84 0.84",
}
PANELS = [(benchmark, direction) for benchmark in ("coco", "flickr30k") for direction in ("i2t", "t2i")]
ESTIMATORS = ["top1_similarity", "top1_consistency", "adversarial_pgd", "adversarial_linear", "probvlm"]
KINDS = ["deterministic", "mc_dropout", "ensemble"]


def test_table_1_is_what_is_printed():
    table = paper_table("table1")
    for (estimator, kind), line in PRINTED.items():
        numbers = [float(number) for number in line.split()]
        for i, panel in enumerate(PANELS):
            assert list(table.value(estimator, kind, "ViT-L-14", *panel)) == numbers[3 * i : 3 * i + 3]
    rows = [(e, k) for e in ESTIMATORS for k in KINDS if table.row(e, k, "ViT-L-14")]
    assert sorted(rows) == sorted(PRINTED)


def test_table_2_has_two_architectures_and_agrees_with_table_1():
    first, second = paper_table("table1"), paper_table("table2")
    rows = {
        arch: [(e, k) for e in ESTIMATORS for k in KINDS if second.row(e, k, arch)] for arch in ("ViT-L-14", "ViT-B-32")
    }
    assert rows["ViT-L-14"] == rows["ViT-B-32"]
    assert len(rows["ViT-L-14"]) == 5
    for method in rows["ViT-L-14"]:
        for panel in PANELS:
            assert second.value(*method, "ViT-L-14", *panel) == first.value(*method, "ViT-L-14", *panel)
    assert second.value("adversarial_pgd", "mc_dropout", "ViT-B-32", "coco", "i2t") == (-0.99, 0.92, 0.91)


@pytest.mark.parametrize("name", ["table1", "table2"])
def test_the_three_numbers_agree_but_for_one_sign(name):
    table = paper_table(name)
    odd = []
    for estimator in ESTIMATORS:
        for kind in KINDS:
            for arch in ("ViT-L-14", "ViT-B-32"):
                for panel in PANELS:
                    found = table.value(estimator, kind, arch, *panel)
                    if found and abs(-found.spearman * found.r2 - found.neg_sr2) > 0.015:
                        odd.append((estimator, *panel))
    assert set(odd) == ({("probvlm", "flickr30k", "t2i")} if name == "table1" else set())


def test_what_the_paper_does_not_have():
    table = paper_table("table1")
    assert table.value("top1_similarity", "deterministic", "ViT-L-14", None, "i2t") is None
    assert table.value("top1_similarity", "deterministic", "ViT-L-14", "flickr8k", "i2t") is None
    assert table.value("margin", "deterministic", "ViT-L-14", "coco", "i2t") is None
    assert table.value("adversarial_linear", "ensemble", "ViT-L-14", "coco", "i2t") is None
    assert table.value("probvlm", "mc_dropout", "ViT-L-14", "coco", "i2t") is None
    # All of Table 1 is ViT-L/14, but for the row that the paper took over from others.
    assert table.value("top1_similarity", "deterministic", "ViT-B-32", "coco", "i2t") is None
    assert table.value("top1_similarity", "deterministic", "", "coco", "i2t") is None
    assert table.value("probvlm", "deterministic", "ViT-B-32", "coco", "i2t") == (-0.99, 0.93, 0.93)
