"""Operations of the recipe of UCAT, counted from its configuration: fine-tuning, and evaluation under attack.

The unit is one forward pass of the image tower on one image. A step of an attack is a forward pass and a backward pass
to the pixels, a training pass a forward pass and one backward pass each to the activations and the weights; each of
these three has the operations of a forward pass.
"""

from collections.abc import Iterable

from overtop.config.attacks import AttackSpec, GradientAttack, LibraryAttack, WorstCaseAttack
from overtop.config.finetuning import FinetuneSpec
from overtop.config.model import Config
from overtop.training.objectives import DEFINITIONS

FORWARD = 8.82e9
"""Operations of ViT-B/32's image tower on an image of 224 x 224, by open_clip's docs/model_profile.csv."""
RATE = 14e12
"""Operations per second that a GPU sustains in float32: 70 % of an A100's peak without TF32."""
STEP, TRAINING = 2, 3
"""Forward passes that a step of an attack, and a training pass, have the operations of."""

TEST_IMAGES = {
    "tinyimagenet": 10_000, "cifar10": 10_000, "cifar100": 10_000, "stl10": 8_000, "sun397": 108_754,
    "food101": 25_250, "pets": 3_669, "flowers102": 6_149, "dtd": 1_880, "eurosat": 5_400, "aircraft": 3_333,
    "imagenet": 50_000, "caltech101": 6_085, "caltech256": 29_780, "cars": 8_041, "pcam": 32_768,
}  # fmt: skip
"""Images of the test splits, by the publications of the data sets and, of VTAB's, by its splits."""

PASSES_OF_NEEDS = {"clean": TRAINING, "reference_clean": 1, "reference_adversarial": 1, "maps": 0}
"""Forward passes of what an objective needs besides the training pass on attacked images."""

RIGHT_CLEAN, RIGHT_ATTACKED = 0.54, 0.31
"""Accuracy of UCAT on average before and under AutoAttack (its Table 1). Attacks of the library skip wrong images."""


def training_passes(spec: FinetuneSpec) -> int:
    """Forward passes per training image and epoch."""
    needs = sum(PASSES_OF_NEEDS[need] for need in DEFINITIONS[spec.objective.kind].needs)
    return STEP * spec.attack.steps + TRAINING + needs


def training_operations(config: Config, encoder: str) -> float:
    """Operations of a fine-tuning run, with the validation after each epoch, clean and under attack."""
    spec = config.encoders[encoder].finetune
    assert spec is not None
    counts = config.stored_dataset(spec.dataset).expect
    validation = STEP * spec.attack.steps + 2
    images = counts[spec.train].images * training_passes(spec) + counts[spec.val].images * validation
    return FORWARD * spec.epochs * images


def attack_passes(spec: AttackSpec, classes: int = 1000, *, skips_wrong: bool = False) -> float:
    """Forward passes per image; for attacks of the library at most, or those expected if they skip wrong images.

    Args:
        spec: the attack.
        classes: answers of the data set; APGD-T aims at nine wrong ones.
        skips_wrong: whether images that are wrong before the attack, and wrong answers already found, are skipped.
    """
    if isinstance(spec, WorstCaseAttack):
        return 0  # chosen from embeddings
    further = 3  # before and after the attack, and the embedding
    if isinstance(spec, GradientAttack):
        return spec.restarts * STEP * spec.steps + further
    assert isinstance(spec, LibraryAttack)
    run = spec.restarts * STEP * (spec.steps + 1) + 1
    targets = min(9, classes - 1) if spec.kind == "apgd-t" and classes >= 4 else 1
    shares = [RIGHT_CLEAN, *[RIGHT_ATTACKED] * (targets - 1)] if skips_wrong else [1] * targets
    return sum(shares) * run + further


def with_parts(config: Config, attacks: Iterable[str]) -> set[str]:
    """These attacks, and those that worst cases among them are made of."""
    names = set(attacks)
    for name in list(names):
        spec = config.attacks[name]
        if isinstance(spec, WorstCaseAttack):
            names |= with_parts(config, spec.of)
    return names


def evaluated(config: Config, studies: Iterable[str]) -> set[tuple[str, str, str]]:
    """Data set, encoder and attack of everything that studies attack; what they share is attacked once."""
    return {
        (dataset, encoder, attack)
        for study in (config.robustness[name] for name in studies)
        for dataset in study.datasets
        for encoders in study.models.values()
        for encoder in encoders
        for attack in with_parts(config, study.attacks)
    }


def hours(operations: float) -> float:
    """GPU hours at the sustained rate."""
    return operations / RATE / 3600


def attack_operations(config: Config, attack: str, datasets: Iterable[str], *, skips_wrong: bool) -> float:
    """Operations of an attack on one encoder, over all test images of some data sets."""
    classes = {"pcam": 2}
    passes = (
        TEST_IMAGES[name] * attack_passes(config.attacks[attack], classes.get(name, 10), skips_wrong=skips_wrong)
        for name in datasets
    )
    return FORWARD * sum(passes)


def study_operations(config: Config, studies: Iterable[str], *, skips_wrong: bool) -> float:
    """Operations of all attacks of some studies."""
    return sum(
        attack_operations(config, attack, [dataset], skips_wrong=skips_wrong)
        for dataset, _, attack in evaluated(config, studies)
    )


def finetuning_table(config: Config) -> str:
    """Markdown: the fine-tuned encoders of the recipe, their passes per image and GPU hours at both settings."""
    lines = [
        "| encoder | passes, epsilon 1 | passes, epsilon 2 | hours, epsilon 1 | hours, epsilon 2 |",
        "|---|---:|---:|---:|---:|",
    ]
    first = [name for name in config.encoders if f"{name}-2" in config.encoders]
    totals = [0.0, 0.0]
    for name in first:
        pair = (name, f"{name}-2")
        specs = [spec for spec in (config.encoders[each].finetune for each in pair) if spec is not None]
        passes = " | ".join(str(training_passes(spec)) for spec in specs)
        spent = [hours(training_operations(config, each)) for each in pair]
        totals = [total + each for total, each in zip(totals, spent, strict=True)]
        lines.append(f"| `{name}`, `{name}-2` | {passes} | {spent[0]:.1f} | {spent[1]:.1f} |")
    return "\n".join([*lines, f"| total | | | {totals[0]:.0f} | {totals[1]:.0f} |"])


def attacks_table(config: Config, study: str) -> str:
    """Markdown: the attacks of a study, their passes per image, and GPU hours for one encoder on all test images."""
    lines = [
        "| attack | passes, at most | passes, expected | hours, at most | hours, expected |",
        "|---|---:|---:|---:|---:|",
    ]
    spec, names = config.robustness[study], []
    for name in [*spec.attacks, *sorted(with_parts(config, spec.attacks) - set(spec.attacks))]:
        if not isinstance(config.attacks[name], WorstCaseAttack):
            names.append(name)
            cells = [f"{attack_passes(config.attacks[name], skips_wrong=skips):,.0f}" for skips in (False, True)]
            spent = [
                hours(attack_operations(config, name, spec.datasets, skips_wrong=skips)) for skips in (False, True)
            ]
            lines.append(f"| `{name}` | {' | '.join(cells)} | {spent[0]:.1f} | {spent[1]:.1f} |")
    sums = [
        sum(hours(attack_operations(config, name, spec.datasets, skips_wrong=skips)) for name in names)
        for skips in (False, True)
    ]
    return "\n".join([*lines, f"| total | | | {sums[0]:.0f} | {sums[1]:.0f} |"])


def studies_table(config: Config, studies: list[str]) -> str:
    """Markdown: GPU hours of each study, and of all together, which share encoders and attacks."""
    lines = [
        "| study | encoders | pairs of encoder and attack | hours, at most | hours, expected |",
        "|---|---:|---:|---:|---:|",
    ]
    for title, names in [*((f"`{name}`", [name]) for name in studies), ("all together", studies)]:
        views = evaluated(config, names)
        spent = [hours(study_operations(config, names, skips_wrong=skips)) for skips in (False, True)]
        encoders, pairs = len({view[1] for view in views}), len({view[1:] for view in views})
        lines.append(f"| {title} | {encoders} | {pairs} | {spent[0]:,.0f} | {spent[1]:,.0f} |")
    return "\n".join(lines)


def cost_tables(config: Config) -> dict[str, str]:
    """The tables of docs/robustness-recipe.md in Markdown, by name."""
    return {
        "fine-tuning": finetuning_table(config),
        "attacks": attacks_table(config, "ucat"),
        "studies": studies_table(config, ["ucat", "ucat-ablation", "ucat-eps2"]),
    }
