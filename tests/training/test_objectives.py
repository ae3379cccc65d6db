"""Each objective against its equation in float64 loops, `torch.distributions` and finite differences."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch.autograd import gradcheck
from torch.distributions import Categorical, Dirichlet, kl_divergence

from overtop.config.objectives import ObjectiveSpec
from overtop.training.attention_maps import attention_map, map_distance
from overtop.training.objective_inputs import ObjectiveInputs
from overtop.training.objectives import DEFINITIONS, Objective, build_objective, objectives_table, step_cost

IMAGES, CLASSES, WIDTH, SCALE = 6, 5, 8, 20.0
EMBEDDINGS = ("adversarial", "clean", "reference_clean", "reference_adversarial")
PATCHES = ("adversarial_patches", "clean_patches", "reference_clean_patches")
DIRICHLET = ("ucat", "reverse_dirichlet")
LAMBDA = 1e5 / (1 + math.exp(2 / 0.07))


def objective(kind: str, **settings: Any) -> Objective:
    return build_objective(TypeAdapter(ObjectiveSpec).validate_python({"kind": kind, **settings}))


def make_inputs(dtype: torch.dtype = torch.float64, seed: int = 0) -> ObjectiveInputs:
    """Every input an objective may need; all embeddings differ, and none has length 1."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    return ObjectiveInputs(
        labels=torch.arange(IMAGES) % CLASSES,
        texts=torch.nn.functional.normalize(draw(CLASSES, WIDTH), dim=-1),
        scale=SCALE,
        **{name: 2 * draw(IMAGES, WIDTH) for name in EMBEDDINGS},
        **{name: 2 * draw(IMAGES, WIDTH, 2, 2) for name in PATCHES},
        image_size=(6, 6),
    )


def cosine_rows(inputs: ObjectiveInputs, name: str) -> list[list[float]]:
    """Cosines of the embeddings with that name, by loops."""
    rows = []
    for embedding in getattr(inputs, name).tolist():
        length = math.sqrt(math.fsum(x * x for x in embedding))
        rows.append(
            [math.fsum(x * t for x, t in zip(embedding, text, strict=True)) / length for text in inputs.texts.tolist()]
        )
    return rows


def softmax(row: list[float], scale: float) -> list[float]:
    exponentials = [math.exp(scale * s) for s in row]
    return [value / math.fsum(exponentials) for value in exponentials]


def mean(values: Any) -> float:
    values = list(values)
    return math.fsum(values) / len(values)


def kl(p_rows: list[list[float]], q_rows: list[list[float]], scale: float) -> list[float]:
    """KL of the softmaxes of rows of cosines, by torch.distributions."""
    p, q = (Categorical(logits=scale * torch.tensor(rows, dtype=torch.float64)) for rows in (p_rows, q_rows))
    return kl_divergence(p, q).tolist()


def dirichlet(a_rows: list[list[float]], b_rows: list[list[float]]) -> list[float]:
    a, b = (
        Dirichlet(1e-6 + torch.exp((torch.tensor(rows, dtype=torch.float64) + 1) / 0.07)) for rows in (a_rows, b_rows)
    )
    return (LAMBDA * kl_divergence(a, b)).tolist()


def evidence(rows: list[list[float]]) -> list[float]:
    return [LAMBDA * math.fsum(math.exp((s + 1) / 0.07) for s in row) for row in rows]


def expected_cross_entropy(inputs: ObjectiveInputs) -> float:
    rows = cosine_rows(inputs, "adversarial")
    return mean(-math.log(softmax(row, SCALE)[y]) for row, y in zip(rows, inputs.labels.tolist(), strict=True))


def expected_distance(inputs: ObjectiveInputs) -> float:
    pairs = zip(inputs.adversarial.tolist(), inputs.reference_clean.tolist(), strict=True)
    return mean(math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True)) for a, b in pairs)


def expected_soft_cross_entropy(inputs: ObjectiveInputs, scale: float = 180.0) -> float:
    pairs = zip(cosine_rows(inputs, "adversarial"), cosine_rows(inputs, "reference_clean"), strict=True)
    return mean(
        -math.fsum(
            q * (scale * s - math.log(math.fsum(math.exp(scale * other) for other in row)))
            for q, s in zip(softmax(reference, 0.4 * scale), row, strict=True)
        )
        for row, reference in pairs
    )


def map_term(inputs: ObjectiveInputs, name: str) -> float:
    """The distance of two maps; tests of `attention_maps` compare it with loops."""
    texts = inputs.texts[inputs.labels]
    maps = [attention_map(getattr(inputs, key), texts) for key in (name, "reference_clean_patches")]
    return mean(map_distance(*maps, (6, 6)).tolist())


def reference_terms(kind: str, inputs: ObjectiveInputs) -> list[float]:
    """The terms of an objective with its default settings, the data term first."""
    adversarial, clean, frozen_clean, frozen_adversarial = (cosine_rows(inputs, name) for name in EMBEDDINGS)
    weighted = [
        w * value for w, value in zip(evidence(frozen_clean), kl(frozen_clean, adversarial, 1 / 0.07), strict=True)
    ]
    data: dict[str, Callable[[ObjectiveInputs], float]] = {
        "fare": expected_distance,
        "agft": expected_soft_cross_entropy,
    }
    regularisers = {
        "pmg_aft": [IMAGES * mean(kl(rows, adversarial, SCALE)) for rows in (frozen_adversarial, clean)],
        "tga": [0.08 * map_term(inputs, "adversarial_patches"), 0.05 * map_term(inputs, "clean_patches")],
        "ucat": [mean(dirichlet(adversarial, frozen_clean))],
        "reverse_dirichlet": [mean(dirichlet(frozen_clean, adversarial))],
        "kl_clean_attacked": [mean(kl(frozen_clean, adversarial, SCALE))],
        "kl_attacked_clean": [mean(kl(adversarial, frozen_clean, SCALE))],
        "weighted_kl": [mean(weighted)],
    }
    return [data.get(kind, expected_cross_entropy)(inputs), *regularisers.get(kind, [])]


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_terms_equal_the_equation(kind):
    inputs = make_inputs()
    settings = {"form": "exact"} if kind in DIRICHLET else {}
    terms = objective(kind, **settings).terms(inputs)
    assert [term.item() for term in terms.values()] == pytest.approx(reference_terms(kind, inputs), rel=1e-7)
    assert all(term.shape == () for term in terms.values())
    first = {"fare": "squared_distance", "agft": "soft_cross_entropy"}.get(kind, "cross_entropy")
    assert next(iter(terms)) == first
    single = objective(kind, **settings).terms(make_inputs(torch.float32))
    assert [term.dtype for term in single.values()] == [torch.float32] * len(terms)
    for name, term in terms.items():
        assert single[name].item() == pytest.approx(term.item(), rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "settings"), [*((kind, {}) for kind in DEFINITIONS), *((kind, {"form": "exact"}) for kind in DIRICHLET)]
)
def test_gradients_equal_finite_differences(kind, settings):
    inputs = make_inputs()
    loss_function = objective(kind, **settings)
    names = ["adversarial", "clean", "adversarial_patches", "clean_patches"]
    size = sum(loss_function.terms(inputs).values()).item()

    def loss(*tensors: torch.Tensor) -> torch.Tensor:
        terms = loss_function.terms(replace(inputs, **dict(zip(names, tensors, strict=True))))
        return sum(terms.values()) / size + 0.0 * sum(tensor.sum() for tensor in tensors)

    assert gradcheck(loss, tuple(getattr(inputs, name).clone().requires_grad_() for name in names), atol=1e-4)


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_needs_are_sufficient_and_necessary(kind):
    everything, needs = make_inputs(), objective(kind).needs
    passes = {"adversarial", *needs} - {"maps"}
    given = [name for name in EMBEDDINGS if name in passes]
    patches = [name for name in PATCHES if "maps" in needs and name.removesuffix("_patches") in passes]
    absent = {name: None for name in (*EMBEDDINGS, *PATCHES) if name not in [*given, *patches]}
    inputs = replace(everything, **absent)
    assert objective(kind).terms(inputs) == objective(kind).terms(everything)
    objective(kind).attack_loss(everything.adversarial, replace(inputs, adversarial=None))
    for name in patches if "maps" in needs else given:
        with pytest.raises(ValueError, match=f"needs the embeddings '{name}'"):
            objective(kind).terms(replace(inputs, **{name: None}))


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_attack_maximises_the_cross_entropy_or_the_own_loss_of_objectives_without_labels(kind):
    inputs = make_inputs()
    losses = objective(kind).attack_loss(inputs.adversarial, inputs)
    assert losses.shape == (IMAGES,)
    assert losses.mean().item() == pytest.approx(reference_terms(kind, inputs)[0], rel=1e-9)
    first = replace(inputs, labels=inputs.labels[:1], reference_clean=inputs.reference_clean[:1])
    assert objective(kind).attack_loss(inputs.adversarial[:1], first).item() == pytest.approx(losses[0].item())
    exchanged = objective(kind).attack_loss(inputs.adversarial, replace(inputs, labels=inputs.labels.flip(0)))
    assert torch.equal(exchanged, losses) == (kind in ("fare", "agft"))


@pytest.mark.parametrize("kind", [kind for kind in DEFINITIONS if kind != "tecoa"])
def test_regularisers_vanish_where_the_towers_agree(kind):
    """The start of training on images that the attack did not change."""
    inputs = make_inputs()
    same = {name: inputs.clean for name in EMBEDDINGS} | {name: inputs.clean_patches for name in PATCHES}
    variable = inputs.clean.clone().requires_grad_()
    patches = inputs.clean_patches.clone().requires_grad_()
    towers = {"adversarial": variable, "clean": variable, "adversarial_patches": patches, "clean_patches": patches}
    terms = list(objective(kind).terms(replace(inputs, **(same | towers))).values())
    regularisers = terms if kind == "fare" else terms[1:]
    assert [term.item() for term in regularisers] == [0.0] * len(regularisers)
    for term in regularisers:
        gradients = torch.autograd.grad(term, (variable, patches), retain_graph=True, allow_unused=True)
        assert all(gradient is None or gradient.abs().max() < 1e-8 for gradient in gradients)


@pytest.mark.parametrize("kind", ["ucat", "reverse_dirichlet", "kl_clean_attacked", "kl_attacked_clean", "weighted_kl"])
def test_weight_multiplies_the_regulariser(kind):
    inputs = make_inputs()
    (data, term), (same_data, weighted) = (objective(kind, **s).terms(inputs).values() for s in ({}, {"weight": 0.25}))
    assert same_data == data
    assert weighted.item() == pytest.approx(0.25 * term.item())


def test_weighted_divergence_with_evidence_at_the_published_temperature_is_ucat():
    inputs = make_inputs()
    weighted, ucat = (objective(kind).terms(inputs) for kind in ("weighted_kl", "ucat"))
    assert weighted["weighted_kl"].item() == pytest.approx(ucat["kl_dirichlet"].item(), rel=1e-12)


@pytest.mark.parametrize("temperature", [0.01, 0.03, 0.07, 0.2])
def test_constant_weight_is_the_mean_of_the_weights_by_evidence(temperature):
    inputs = make_inputs()
    adversarial, reference = (cosine_rows(inputs, name) for name in ("adversarial", "reference_clean"))
    divergences, weights = kl(reference, adversarial, 1 / temperature), evidence(reference)
    by_evidence = mean(w * value for w, value in zip(weights, divergences, strict=True))
    for settings, expected in (({}, by_evidence), ({"evidence": False}, mean(weights) * mean(divergences))):
        terms = objective("weighted_kl", temperature=temperature, weight=0.01, **settings).terms(inputs)
        assert terms["weighted_kl"].item() == pytest.approx(0.01 * expected, rel=1e-9)


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_terms_of_parts_average_to_those_of_the_batch(kind):
    """As gradient accumulation does; the sums of `pmg_aft` must not depend on it."""
    inputs = make_inputs()
    parts = []
    for rows in (slice(0, 3), slice(3, 6)):
        tensors = {name: getattr(inputs, name)[rows] for name in ("labels", *EMBEDDINGS, *PATCHES)}
        parts.append(objective(kind).terms(replace(inputs, **tensors, batch_size=IMAGES)))
    for name, term in objective(kind).terms(inputs).items():
        assert mean(part[name].item() for part in parts) == pytest.approx(term.item(), rel=1e-9)


def test_scale_of_agft_is_that_of_the_student():
    inputs = make_inputs()
    terms = objective("agft", scale=30.0).terms(inputs)
    assert terms["soft_cross_entropy"].item() == pytest.approx(expected_soft_cross_entropy(inputs, 30.0), rel=1e-9)


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_autocast_does_not_reach_the_objective(kind):
    inputs = make_inputs(torch.float32)
    expected, losses = objective(kind).terms(inputs), objective(kind).attack_loss(inputs.adversarial, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        assert objective(kind).terms(inputs) == expected
        assert torch.equal(objective(kind).attack_loss(inputs.adversarial, inputs), losses)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "tecoa", "weight": 1.0},
        {"kind": "ucat", "weight": 0.0},
        {"kind": "ucat", "form": "float64"},
        {"kind": "weighted_kl", "temperature": -0.1},
        {"kind": "trades"},
    ],
)
def test_invalid_objective_is_rejected(values):
    with pytest.raises(ValidationError):
        TypeAdapter(ObjectiveSpec).validate_python(values)


def test_table_has_a_row_for_every_kind_of_the_configuration():
    specs = TypeAdapter(ObjectiveSpec).json_schema()["discriminator"]["mapping"]
    assert set(specs) == set(DEFINITIONS)
    rows = [line.split("|") for line in objectives_table().splitlines() if line.startswith("| `")]
    assert [row[1].strip(" `") for row in rows] == list(DEFINITIONS)
    assert {len(row) for row in rows} == {8}
    assert [row[3:5] for row in rows if "`tecoa`" in row[1]] == [[" - ", " 1.00 "]]


def test_cost_counts_forward_and_backward_passes():
    """Two steps of attack: four passes; the step itself: three; one more by the frozen tower, three by the trained."""
    costs = {kind: step_cost(definition.needs) for kind, definition in DEFINITIONS.items()}
    assert {kind: cost for kind, cost in costs.items() if cost != 8} == {"tecoa": 7, "pmg_aft": 11, "tga": 11}
    assert step_cost(frozenset(), attack_steps=10) == 23
