import re
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from helpers.rankings import make_ranking
from overtop import labels, terms
from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.registry import NEEDS, REGISTRY, Need, estimators_table, get_estimator, missing_requirement
from overtop.estimators.scoring import compute_uncertainty
from overtop.figures.method_styles import ESTIMATOR_STYLES
from overtop.radius.radii import PublishedRadius, Radii, Radius
from overtop.retrieval.normalisation import NormalisedRanking
from overtop.terms import BANK_ESTIMATORS, DIRICHLET_TEMPERATURE, PROTOCOLS, PUBLISHED_ONLY, SOFTMAX_TEMPERATURE

QUERIES = 4


def complete_inputs(samples=3):
    """Inputs that satisfy every estimator if there are several samples."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0.2, 0.05, (QUERIES, 9))
    ranking = make_ranking(scores, (SOFTMAX_TEMPERATURE, DIRICHLET_TEMPERATURE))
    votes = np.argsort(rng.random((QUERIES, samples, 9)), axis=2)[:, :, :5].astype(np.int32)
    exact = rng.random(QUERIES), np.ones(QUERIES, bool), np.zeros(QUERIES, np.int32)
    radii = Radii(PublishedRadius(*exact, *rng.random((2, QUERIES))), Radius(*exact))
    variance = {protocol: rng.random(QUERIES) for protocol in PROTOCOLS}
    normalised = {name: NormalisedRanking(rng.random(QUERIES), votes[:, 0]) for name in BANK_ESTIMATORS}
    return EstimatorInputs(replace(ranking, sample_top=votes, normalised=normalised), radii, variance)


def inputs_without(need):
    """Inputs that satisfy every estimator except those with one requirement."""
    inputs = complete_inputs()
    return {
        "samples": complete_inputs(samples=1),
        "softmax": replace(inputs, ranking=replace(inputs.ranking, temperatures=())),
        "radius": replace(inputs, radii=None),
        "adapter": replace(inputs, variance=None),
        "bank": replace(inputs, ranking=replace(inputs.ranking, normalised={})),
    }[need]


def test_registry_has_the_names_and_order_of_the_vocabulary():
    assert tuple(REGISTRY) == terms.ESTIMATORS
    assert tuple(labels.ESTIMATORS) == terms.ESTIMATORS


def test_every_estimator_has_a_style_and_a_distinct_label():
    assert set(REGISTRY) == set(ESTIMATOR_STYLES)
    assert len(set(labels.ESTIMATORS.values())) == len(REGISTRY)


DEFINED = [(name, protocol) for name, estimator in REGISTRY.items() for protocol in estimator.protocols]


@pytest.mark.parametrize(("name", "protocol"), DEFINED)
def test_uncertainty_of_every_estimator_is_one_finite_float64_per_query(name, protocol):
    uncertainty = compute_uncertainty(name, complete_inputs(), protocol)
    assert uncertainty.dtype == np.float64
    assert uncertainty.shape == (QUERIES,)
    assert np.isfinite(uncertainty).all()


@pytest.mark.parametrize("need", get_args(Need))
@pytest.mark.parametrize(("name", "protocol"), DEFINED)
def test_estimator_without_a_requirement_is_refused_if_and_only_if_it_needs_it(name, need, protocol):
    inputs = inputs_without(need)
    missing = missing_requirement(get_estimator(name), inputs, protocol)
    assert (missing is not None) == (need in REGISTRY[name].needs)
    if missing is None:
        assert compute_uncertainty(name, inputs, protocol).shape == (QUERIES,)
    else:
        with pytest.raises(OvertopError, match=f"{name} {re.escape(missing)}"):
            compute_uncertainty(name, inputs, protocol)


@pytest.mark.parametrize(
    ("name", "need", "message"),
    [
        ("top1_consistency", "samples", "top1_consistency needs several samples"),
        ("topk_consistency", "samples", "topk_consistency needs several samples"),
        ("entropy", "softmax", "entropy needs softmax sums over the gallery; rank again with temperatures"),
        ("adversarial_pgd", "radius", "adversarial_pgd needs the radii"),
        ("adversarial_linear", "radius", "adversarial_linear needs the radii"),
        ("adversarial_exact", "radius", "adversarial_exact needs the radii"),
        ("probvlm", "adapter", "probvlm needs a posterior with an adapter; declare one"),
    ],
)
def test_missing_requirement_is_named_with_its_fix(name, need, message):
    with pytest.raises(OvertopError, match=message):
        compute_uncertainty(name, inputs_without(need), "published")


def test_published_protocol_without_its_space_is_refused():
    inputs = complete_inputs()
    inputs = replace(inputs, radii=Radii(None, inputs.radii.corrected))
    assert compute_uncertainty("adversarial_exact", inputs, "corrected").shape == (QUERIES,)
    with pytest.raises(OvertopError, match="differ in dimension"):
        compute_uncertainty("adversarial_pgd", inputs, "published")


def test_paper_approximations_exist_only_under_published():
    names = [name for name, estimator in REGISTRY.items() if "corrected" not in estimator.protocols]
    assert names == [*PUBLISHED_ONLY]
    for name in PUBLISHED_ONLY:
        with pytest.raises(OvertopError, match=f"{name} exists only under protocol 'published'; use adversarial_exact"):
            compute_uncertainty(name, complete_inputs(), "corrected")


def test_bank_estimators_exist_only_under_corrected():
    for name in BANK_ESTIMATORS:
        with pytest.raises(OvertopError, match=f"{name} exists only under protocol 'corrected'$"):
            compute_uncertainty(name, complete_inputs(), "published")


@pytest.mark.parametrize(
    ("name", "protocol"),
    [(name, protocol) for name, protocol in DEFINED if not REGISTRY[name].needs & {"samples", "adapter", "bank"}],
)
def test_uncertainty_falls_as_the_top1_moves_away_from_its_rivals(name, protocol):
    scores = np.tile(np.random.default_rng(1).normal(0.2, 0.02, 9), (3, 1))
    scores[:, 4] = [0.3, 0.35, 0.4]
    lengths = np.array([0.01, 0.02, 0.03])
    exact = lengths, np.ones(3, bool), np.full(3, 4, np.int32)
    ranking = make_ranking(scores, (SOFTMAX_TEMPERATURE, DIRICHLET_TEMPERATURE))
    inputs = EstimatorInputs(ranking, Radii(PublishedRadius(*exact, lengths, lengths), Radius(*exact)))
    assert (np.diff(compute_uncertainty(name, inputs, protocol)) < 0).all()


def test_unknown_estimator_is_refused_with_the_closest_name_or_all():
    with pytest.raises(OvertopError, match="'top1_similarty'; did you mean 'top1_similarity'"):
        get_estimator("top1_similarty")
    with pytest.raises(OvertopError, match="'zebra'; .*margin, .*top1_similarity"):
        get_estimator("zebra")


def test_unknown_protocol_is_refused():
    with pytest.raises(OvertopError, match="'ours'.*published or corrected"):
        compute_uncertainty("top1_similarity", complete_inputs(), "ours")


def test_estimators_table_has_one_row_per_estimator_with_its_needs_and_source():
    header, rule, *rows = [line for line in estimators_table().splitlines() if line.startswith("|")]
    assert header == "| estimator | needs | protocols | confidence | source |"
    assert rule == "|---|---|---|---|---|"
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [name for name, *_ in cells] == [f"`{name}`" for name in REGISTRY]
    for (_, needs, protocols, confidence, source), estimator in zip(cells, REGISTRY.values(), strict=True):
        assert needs == (", ".join(NEEDS[need] for need in sorted(estimator.needs)) or "-")
        assert protocols == ("both" if len(estimator.protocols) == 2 else estimator.protocols[0])
        assert confidence == estimator.confidence
        assert source == f"{estimator.citation.short}, {estimator.location}"


def test_estimators_table_lists_every_cited_publication_once():
    citations = [line for line in estimators_table().splitlines() if line.startswith("- ")]
    expected = {f"- {e.citation.short}: {e.citation.full}" for e in REGISTRY.values()}
    assert len(citations) == len(expected)
    assert set(citations) == expected
