"""The terms and gradients of one batch against plain computations, and the attack within it."""

import pytest
import torch
from torch.nn import functional

from helpers.encoder_inputs import SHAPES_SPEC
from overtop.config.finetuning import FinetuneSpec
from overtop.encoders.compat import open_clip
from overtop.encoders.loading import Encoder, load_encoder
from overtop.encoders.pixels import split_preprocessing
from overtop.training.adversarial_step import AttackedObjective
from overtop.training.class_images import parts
from overtop.training.image_tower import select_trained
from overtop.training.objectives import DEFINITIONS, build_objective

BATCH = 6


@pytest.fixture
def encoder(colours) -> Encoder:
    return load_encoder("base", SHAPES_SPEC, colours.checkpoint)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pixels, their classes, and unit embeddings of the classes."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(BATCH, 3, 48, 48, generator=generator)
    texts = functional.normalize(torch.randn(4, 64, generator=generator), dim=1)
    return pixels, torch.arange(BATCH) % 4, texts


def _make(encoder: Encoder, texts: torch.Tensor, kind: str = "tecoa", **settings: object) -> AttackedObjective:
    values = {"from": "b", "dataset": "x", "objective": {"kind": kind}, "batch_size": BATCH}
    spec = FinetuneSpec.model_validate(values | settings)
    select_trained("a", encoder.model, spec.blocks)
    _, normalise = split_preprocessing(encoder)
    return AttackedObjective(encoder, normalise, build_objective(spec.objective), texts, spec)


def _gradients(encoder: Encoder) -> dict[str, torch.Tensor]:
    found = {name: p.grad.clone() for name, p in encoder.model.named_parameters() if p.grad is not None}
    encoder.model.zero_grad()
    return found


def test_terms_and_gradients_equal_plain_ones(encoder, batch):
    pixels, classes, texts = batch
    objective = _make(encoder, texts)
    attacked = (pixels + 0.01).clamp(0, 1)
    terms = objective(pixels, attacked, objective.prepare(pixels, classes))
    sum(terms.values()).backward()
    actual = _gradients(encoder)
    embeddings = encoder.model.encode_image(objective.tower.normalise(attacked), normalize=True)
    logits = encoder.model.logit_scale.exp().detach() * embeddings @ texts.T
    loss = functional.cross_entropy(logits, classes)
    loss.backward()
    expected = _gradients(encoder)
    assert terms["cross_entropy"].item() == pytest.approx(loss.item(), rel=1e-5)
    assert actual.keys() == expected.keys() == {f"visual.{name}" for name, _ in encoder.model.visual.named_parameters()}
    for name, gradient in expected.items():
        torch.testing.assert_close(actual[name], gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", [kind for kind in DEFINITIONS if kind != "weighted_kl"])
@pytest.mark.parametrize("count", [2, 3])
def test_gradients_of_the_parts_of_a_batch_add_up_to_those_of_the_whole(encoder, batch, kind, count):
    pixels, classes, texts = batch
    objective = _make(encoder, texts, kind)
    with torch.no_grad():  # trained weights differ from the reference, or regularisers have no gradient
        for parameter in encoder.model.visual.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    attacked = (pixels + 0.01).clamp(0, 1)

    def gradients(slices):
        for part in slices:
            inputs = objective.prepare(pixels[part], classes[part])
            terms = objective(pixels[part], attacked[part], inputs)
            (len(pixels[part]) / BATCH * sum(terms.values())).backward()
        return _gradients(encoder)

    whole, sum_of_parts = gradients([slice(None)]), gradients(parts(BATCH, count))
    assert sum(gradient.abs().sum() for gradient in whole.values()) > 0
    for name, gradient in whole.items():
        rounding = 1e-5 * gradient.abs().max().item() + 1e-6
        torch.testing.assert_close(sum_of_parts[name], gradient, rtol=1e-3, atol=rounding)


def test_attack_stays_in_the_ball_and_raises_the_loss(encoder, batch):
    pixels, classes, texts = batch
    objective = _make(encoder, texts, attack={"epsilon": 4, "steps": 10})
    inputs = objective.prepare(pixels, classes)
    attacked = objective.attack(pixels, inputs, seed=0)
    assert (attacked - pixels).abs().max() <= 4 / 255 + 1e-6
    assert attacked.min() >= 0
    assert attacked.max() <= 1
    noise = (pixels + 4 / 255 * torch.randn(pixels.shape).sign()).clamp(0, 1)
    losses = [objective(pixels, images, inputs)["cross_entropy"].item() for images in (pixels, noise, attacked)]
    assert losses[2] > max(losses[:2]) + 0.1


@pytest.mark.parametrize(("epsilon", "step"), [(0.5, 0.5), (1, 1), (8, 1)])
def test_default_step_is_one_level_or_the_radius(encoder, batch, epsilon, step):
    pixels, classes, texts = batch
    default = _make(encoder, texts, attack={"epsilon": epsilon})
    explicit = _make(encoder, texts, attack={"epsilon": epsilon, "step": step})
    inputs = default.prepare(pixels, classes)
    assert torch.equal(default.attack(pixels, inputs, 0), explicit.attack(pixels, inputs, 0))


def test_attack_depends_on_its_seed_only(encoder, batch):
    pixels, classes, texts = batch
    objective = _make(encoder, texts)
    inputs = objective.prepare(pixels, classes)
    first = objective.attack(pixels, inputs, 0)
    torch.rand(3)
    assert torch.equal(objective.attack(pixels, inputs, 0), first)
    assert not torch.equal(objective.attack(pixels, inputs, 1), first)


def test_attack_is_in_full_precision_whatever_the_rest(encoder, batch):
    pixels, classes, texts = batch
    attacked = {}
    for precision in ("fp32", "bf16"):
        objective = _make(encoder, texts, precision=precision)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            attacked[precision] = objective.attack(pixels, objective.prepare(pixels, classes), 0)
    assert torch.equal(attacked["fp32"], attacked["bf16"])
    assert attacked["bf16"].dtype == torch.float32


def test_attack_leaves_no_gradients_and_parameters_trainable(encoder, batch):
    pixels, classes, texts = batch
    objective = _make(encoder, texts, blocks=1)
    trained = [name for name, p in encoder.model.named_parameters() if p.requires_grad]
    objective.attack(pixels, objective.prepare(pixels, classes), 0)
    assert [name for name, p in encoder.model.named_parameters() if p.requires_grad] == trained
    assert all(p.grad is None for p in encoder.model.parameters())


def test_reference_keeps_the_weights_that_training_started_from(encoder, batch):
    pixels, classes, texts = batch
    objective = _make(encoder, texts, "ucat")
    before = objective.prepare(pixels, classes).reference_clean
    torch.testing.assert_close(before, objective.tower(pixels).detach(), rtol=1e-3, atol=1e-5)
    with torch.no_grad():
        encoder.model.visual.proj.mul_(2)
    assert torch.equal(objective.prepare(pixels, classes).reference_clean, before)
    assert not before.requires_grad


def test_objective_without_reference_makes_no_copy(encoder, batch):
    assert _make(encoder, batch[2], "tecoa").reference is None


def test_statistics_of_batch_norm_stay_frozen(encoder, batch):
    pixels, classes, texts = batch
    torch.manual_seed(0)
    encoder.model.visual = open_clip.model.ModifiedResNet((1, 1, 1, 1), 64, heads=4, image_size=64, width=8).eval()
    objective = _make(encoder, texts)
    pixels = functional.interpolate(pixels, size=64)
    before = {name: value.clone() for name, value in encoder.model.visual.named_buffers()}
    inputs = objective.prepare(pixels, classes)
    sum(objective(pixels, objective.attack(pixels, inputs, 0), inputs).values()).backward()
    assert any("running_mean" in name for name in before)
    for name, value in encoder.model.visual.named_buffers():
        assert torch.equal(value, before[name]), name
    assert encoder.model.visual.bn1.weight.grad.abs().sum() > 0


def test_count_of_correct_images_is_that_of_the_most_similar_class(encoder, batch):
    pixels, _, texts = batch
    objective = _make(encoder, texts)
    with torch.no_grad():
        answers = (functional.normalize(objective.tower(pixels), dim=1) @ texts.T).argmax(dim=1)
    labels = answers.clone()
    labels[:2] = (answers[:2] + 1) % 4
    assert objective.count_correct(pixels, labels).item() == BATCH - 2
