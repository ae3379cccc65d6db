"""`figures` in config.yaml: what each figure draws."""

from typing import Annotated, Literal

from pydantic import Field

from overtop.config.banks import BankSpec
from overtop.config.base import Count, Model, Name, PosteriorName
from overtop.terms import Binning, Positives, Probability, Protocol


class CurveFigure(Model):
    """One figure, `results/figures/NAME.{pdf,png,csv}`, of the curves behind a table."""

    kind: Literal["calibration", "rejection"] = Field(
        description="Recall@1 by level of uncertainty, or of the remaining queries as uncertain ones are rejected"
    )
    table: Name = Field(description="table whose methods are shown")
    estimators: list[Name] = Field(
        [], description="empty: `top1_similarity`, `max_softmax` and `bank_nnn`, as far as the table has them"
    )
    posteriors: list[PosteriorName] = Field([], description="empty: all posteriors of the table")
    protocol: Protocol = Field("corrected", description="protocol that is shown")
    binning: Binning = Field("equal_width", description="how uncertainty is cut into levels")
    positives: Positives = Field("labelled", description="which answers count as right")


class CascadeFigure(Model):
    """One figure, `results/figures/NAME.{pdf,png,csv}`, of a cascade."""

    kind: Literal["cascade"]
    cascade: Name = Field(description="entry of `cascades`")


class SensitivityFigure(Model):
    """One figure, `results/figures/NAME.{pdf,png,csv}`: the effect of dropout rate and number of passes."""

    kind: Literal["sensitivity"]
    dataset: Name = Field(description="data set that is shown")
    estimator: Name = Field("top1_consistency", description="estimator that is shown")
    rates: list[PosteriorName] = Field([], description="posteriors that differ only in their rate")
    passes: list[PosteriorName] = Field([], description="posteriors that differ only in their passes")
    split: Name = Field("test", description="split that is shown")
    protocol: Protocol = Field("corrected", description="protocol that is shown")
    binning: Binning = Field("equal_width", description="how uncertainty is cut into levels")
    positives: Positives = Field("labelled", description="which answers count as right")

    def posteriors(self) -> list[str]:
        """All posteriors of the figure, each once."""
        return list(dict.fromkeys([*self.rates, *self.passes]))


class ThinningFigure(Model):
    """One figure, `results/figures/NAME.{pdf,png,csv}`: AUROC against the number of test queries.

    It shows transductive estimators, which look at the other test queries, beside others, and a logistic regression on
    all estimators. Protocol `corrected`, labelled positives.
    """

    kind: Literal["thinning"]
    dataset: Name = Field(description="data set that is measured")
    posterior: PosteriorName = Field(description="posterior that is measured")
    split: Name = Field("test", description="split that is measured")
    val: Name | None = Field("val", description="labelled split of the logistic regression; null: leave it out")
    estimators: Annotated[list[Name], Field(min_length=1)] = Field(
        ["max_softmax", "bank_softmax"], description="estimators beside the transductive ones"
    )
    sizes: list[Count] = Field([50, 100, 200, 500, 1000, 2000, 5000], description="numbers of queries; also all")
    draws: Count = Field(50, description="random subsets of each size")


class ReliabilityFigure(Model):
    """One figure, `results/figures/NAME.{pdf,png,csv}`: reliability of a study's models, clean beside attacked."""

    kind: Literal["reliability"]
    robustness: Name = Field(description="study, an entry of `robustness`")
    dataset: Name = Field(description="data set of the study")
    attack: Name = Field(description="attack of the study")
    models: list[str] = Field([], description="display names of models of the study; empty: all")
    probabilities: Annotated[list[Probability], Field(min_length=1)] = Field(
        ["model", "fitted"], description="those that a model does not have are left out"
    )


class BankFigure(Model):
    """One figure, `results/figures/NAME.{pdf,png,csv}`: what the bank estimators of a posterior depend on."""

    kind: Literal["bank"]
    dataset: Name = Field(description="data set that is measured")
    posterior: PosteriorName = Field(description="posterior that is measured")
    split: Name = Field("test", description="split that is measured")
    foreign: BankSpec | None = Field(None, description="a bank of another data set to compare the declared one with")


class TrainingFigure(Model):
    """One figure, `results/figures/NAME.{pdf,png,csv}`: losses and validation accuracies of fine-tuning."""

    kind: Literal["training"]
    encoders: Annotated[list[Name], Field(min_length=1)] = Field(description="fine-tuned encoders")


class RobustnessFigure(Model):
    """One figure, `results/figures/NAME.{pdf,png,csv}`: accuracy of the models of a study against epsilon."""

    kind: Literal["robustness"]
    robustness: Name = Field(description="the study")
    attacks: list[Name] = Field(
        [], description="attacks of the study that differ in epsilon; empty: the most with equal kind and steps"
    )


class AttackEffectFigure(Model):
    """One figure, `results/figures/NAME.{pdf,png,csv}`: distributions of uncertainties on clean and attacked images."""

    kind: Literal["attack_effect"]
    robustness: Name = Field(description="the study")
    dataset: Name = Field(description="data set of the study")
    attack: Name = Field(description="attack of the study")
    models: list[str] = Field([], description="display names of models of the study; empty: all")
    estimators: Annotated[list[Name], Field(min_length=1)] = Field(
        ["dirichlet_entropy", "dirichlet_vacuity", "entropy"],
        description="estimators that are shown",
    )


class ConfidenceFigure(Model):
    """One figure, `results/figures/NAME.{pdf,png,csv}`: reliability of the confidence models of a study."""

    kind: Literal["confidence"]
    transfer: Name = Field(description="an entry of `transfers`")
    estimators: list[Name] = Field([], description="estimators of the study; empty: all")


FigureSpec = Annotated[
    CurveFigure
    | CascadeFigure
    | SensitivityFigure
    | BankFigure
    | ThinningFigure
    | ReliabilityFigure
    | TrainingFigure
    | RobustnessFigure
    | AttackEffectFigure
    | ConfidenceFigure,
    Field(discriminator="kind"),
]
