import pytest

from overtop.reference.paper import read_paper_table

# Table 1 of the paper as printed: S, R2 and -S R2 for image to text, then text to image, on MSCOCO, then on Flickr30K.
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


METHODS = [(estimator, kind) for estimator in ESTIMATORS for kind in KINDS]
ARCHITECTURES = ["ViT-L-14", "ViT-B-32"]


def listed_methods(table, architecture):
    return [method for method in METHODS if table.method(*method, architecture)]


def test_table_1_contains_the_printed_methods_and_numbers():
    table = read_paper_table("table1")
    for (estimator, kind), line in PRINTED.items():
        numbers = [float(number) for number in line.split()]
        for i, panel in enumerate(PANELS):
            assert list(table.value(estimator, kind, "ViT-L-14", *panel)) == numbers[3 * i : 3 * i + 3]
    assert sorted(listed_methods(table, "ViT-L-14")) == sorted(PRINTED)


def test_table_2_has_two_architectures_and_agrees_with_table_1():
    first, second = read_paper_table("table1"), read_paper_table("table2")
    methods = listed_methods(second, "ViT-L-14")
    assert methods == listed_methods(second, "ViT-B-32")
    assert len(methods) == 5
    for method in methods:
        for panel in PANELS:
            assert second.value(*method, "ViT-L-14", *panel) == first.value(*method, "ViT-L-14", *panel)
    assert second.value("adversarial_pgd", "mc_dropout", "ViT-B-32", "coco", "i2t") == (-0.99, 0.92, 0.91)


@pytest.mark.parametrize(("name", "expected"), [("table1", {("probvlm", "flickr30k", "t2i")}), ("table2", set())])
def test_printed_neg_sr2_equals_the_product_except_for_one_sign_error(name, expected):
    table = read_paper_table(name)
    inconsistent = set()
    for estimator, kind in METHODS:
        for architecture in ARCHITECTURES:
            for panel in PANELS:
                value = table.value(estimator, kind, architecture, *panel)
                if value and abs(-value.spearman * value.r2 - value.neg_sr2) > 0.015:
                    inconsistent.add((estimator, *panel))
    assert inconsistent == expected


@pytest.mark.parametrize(
    ("estimator", "kind", "architecture", "benchmark"),
    [
        ("top1_similarity", "deterministic", "ViT-L-14", None),
        ("top1_similarity", "deterministic", "ViT-L-14", "flickr8k"),
        ("margin", "deterministic", "ViT-L-14", "coco"),
        ("adversarial_linear", "ensemble", "ViT-L-14", "coco"),
        ("probvlm", "mc_dropout", "ViT-L-14", "coco"),
        ("top1_similarity", "deterministic", "ViT-B-32", "coco"),
        ("top1_similarity", "deterministic", "", "coco"),
    ],
)
def test_value_that_table_1_does_not_contain_is_none(estimator, kind, architecture, benchmark):
    assert read_paper_table("table1").value(estimator, kind, architecture, benchmark, "i2t") is None


def test_probvlm_applies_to_every_architecture():
    value = read_paper_table("table1").value("probvlm", "deterministic", "ViT-B-32", "coco", "i2t")
    assert value == (-0.99, 0.93, 0.93)
