import numpy as np
import pytest
import torch

from helpers.linear_model import LinearModel
from overtop.attacks.batch import AttackedBatch, attack_batch, describe_attack
from overtop.attacks.losses import cross_entropy, is_misclassified, margin
from overtop.attacks.pgd import perturb_from, random_point
from overtop.config.attacks import GradientAttack
from overtop.seeds import derive_seed

EPSILON = 3.0


def spec(**options: object) -> GradientAttack:
    return GradientAttack.model_validate({"kind": "pgd", "epsilon": EPSILON, "steps": 4, "step": 0.5, **options})


@pytest.fixture
def model() -> LinearModel:
    return LinearModel(5)


@pytest.fixture
def batch(model: LinearModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of which every fourth is wrong from the start."""
    pixels = model.images(60)
    is_positive = model.labels(pixels)
    is_positive[::4] = is_positive[::4].roll(1, dims=1)
    return pixels, is_positive


def attack(model: LinearModel, batch: tuple[torch.Tensor, torch.Tensor], **options: object) -> AttackedBatch:
    return attack_batch(model.logits, *batch, spec(**options), seed=7)


@pytest.mark.parametrize(("kind", "loss"), [("pgd", cross_entropy), ("cw", margin)])
@pytest.mark.parametrize("early_stop", [False, True])
def test_of_several_restarts_the_first_that_succeeds_counts_else_the_largest_loss(model, batch, kind, loss, early_stop):
    pixels, is_positive = batch
    result = attack(model, batch, kind=kind, restarts=3, early_stop=early_stop, step=0.3)
    chosen = []
    for i in range(len(pixels)):
        one, positive = pixels[i : i + 1], is_positive[i : i + 1]
        candidates = []
        for restart in range(3):
            generator = torch.Generator().manual_seed(derive_seed(7, restart))
            current = random_point(pixels, EPSILON / 255, generator)[i : i + 1]
            iterates = [current]
            for _ in range(4):
                iterates.append(
                    perturb_from(
                        iterates[-1], one, lambda x, p=positive: loss(model.logits(x), p),
                        epsilon=EPSILON / 255, steps=1, step=0.3 / 255,
                    )
                )  # fmt: skip
            wrong = [bool(is_misclassified(model.logits(x), positive)) for x in iterates]
            candidates.append(iterates[wrong.index(True) if early_stop and any(wrong) else -1])
        if early_stop and is_misclassified(model.logits(one), positive):
            candidates = [one]
        wrong = [bool(is_misclassified(model.logits(x), positive)) for x in candidates]
        losses = [loss(model.logits(x), positive).item() for x in candidates]
        chosen.append(candidates[wrong.index(True) if any(wrong) else int(np.argmax(losses))])
    torch.testing.assert_close(result.pixels, torch.cat(chosen), rtol=0, atol=1e-6)
    assert torch.equal(result.is_wrong, is_misclassified(model.logits(result.pixels), is_positive))
    assert 15 < result.is_wrong.sum() < 60


def test_more_restarts_and_more_steps_never_help_the_defender(model, batch):
    errors = [int(attack(model, batch, restarts=restarts, kind="cw").is_wrong.sum()) for restarts in (1, 4)]
    assert errors[1] >= errors[0]
    stopped = [int(attack(model, batch, steps=steps, early_stop=True).is_wrong.sum()) for steps in (0, 1, 4, 8)]
    assert stopped == sorted(stopped)
    assert stopped[0] < stopped[-1]


def test_early_stop_has_the_accuracy_of_the_worst_iterate_for_less_work(model, batch):
    pixels, is_positive = batch
    model.images_seen = 0
    stopped = attack(model, batch, early_stop=True, steps=8)
    work = model.images_seen
    generator = torch.Generator().manual_seed(derive_seed(7, 0))
    current, worst = random_point(pixels, EPSILON / 255, generator), is_misclassified(model.logits(pixels), is_positive)
    for step in range(9):
        worst |= is_misclassified(model.logits(current), is_positive)
        if step < 8:
            current = perturb_from(
                current, pixels, lambda x: cross_entropy(model.logits(x), is_positive),
                epsilon=EPSILON / 255, steps=1, step=0.5 / 255,
            )  # fmt: skip
    assert torch.equal(stopped.is_wrong, worst)
    model.images_seen = 0
    full = attack(model, batch, steps=8)
    assert stopped.is_wrong.sum() >= full.is_wrong.sum()
    assert work < 0.8 * model.images_seen


def test_images_that_were_wrong_keep_their_pixels_only_if_the_attack_stops_early(model, batch):
    pixels, _ = batch
    stopped, full = attack(model, batch, early_stop=True), attack(model, batch)
    assert torch.equal(stopped.was_wrong, full.was_wrong)
    assert full.was_wrong.sum() == 15
    assert torch.equal(stopped.pixels[::4], pixels[::4])
    assert (full.pixels != pixels).flatten(1).any(1).all()


def test_no_steps_are_uniform_noise(model, batch):
    pixels, is_positive = batch
    result = attack(model, batch, steps=0)
    expected = random_point(pixels, EPSILON / 255, torch.Generator().manual_seed(derive_seed(7, 0)))
    assert torch.equal(result.pixels, expected)
    assert torch.equal(result.is_wrong, is_misclassified(model.logits(expected), is_positive))


def test_a_set_of_positives_is_right_until_all_of_them_are_overtaken(model, batch):
    pixels, is_positive = batch
    several = is_positive | is_positive.roll(1, dims=1)
    one, two = (attack_batch(model.logits, pixels, mask, spec(kind="cw"), 0) for mask in (is_positive, several))
    assert two.is_wrong.sum() < one.is_wrong.sum()
    top = model.logits(two.pixels).argmax(1)
    assert torch.equal(two.is_wrong, ~several[torch.arange(len(pixels)), top])


def test_same_seed_gives_the_same_bytes_and_another_seed_others(model, batch):
    first, second = attack(model, batch), attack(model, batch)
    assert torch.equal(first.pixels, second.pixels)
    assert not torch.equal(first.pixels, attack_batch(model.logits, *batch, spec(), seed=8).pixels)


def test_default_step_is_at_most_one_and_at_most_epsilon():
    assert [GradientAttack(kind="pgd", epsilon=e).step_length for e in (0.25, 1, 8)] == [0.25, 1, 1]
    described = describe_attack(GradientAttack(kind="cw", epsilon=0.5), 10)
    assert described["step"] == 0.5
    assert described["steps"] == 100
    assert described["answers"] == 10
