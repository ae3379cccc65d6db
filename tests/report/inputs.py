"""Inputs of reports on a small random split, through the functions of the pipeline from similarities to tables."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from helpers.rankings import make_ranking
from overtop.config.evaluation import BootstrapSpec, EvaluationSpec
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import score_direction
from overtop.evaluation.bootstrap import bootstrap_seed
from overtop.evaluation.metrics import Evaluation, evaluate
from overtop.report.assemble import ReportResults, ReportSettings
from overtop.report.cards import CardSource
from overtop.report.panels import PosteriorResults
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.temperature import Temperatures
from overtop.storage.split import Split
from overtop.tables.published import PublishedNumbers
from overtop.tables.rows import combine_metrics
from overtop.terms import DIRECTIONS, Direction

SPEC = EvaluationSpec(bootstrap=BootstrapSpec(resamples=100))
ESTIMATORS = ("top1_similarity", "max_softmax", "margin")
TEMPERATURE = 0.05
ENCODER = {"name": "tiny-0", "architecture": "tiny", "checkpoint_sha256": "0123", "versions": {"torch": "2"}}


@dataclass(frozen=True)
class SmallWorld:
    """A data set with random similarities, and posteriors that differ in their noise; files are in `folder`.

    Attributes:
        folder: the data folder.
        n_images: number of images, each with two captions.
        skill: how much more similar a labelled pair is.
        posteriors: names.
        has_files: whether the images have files.
        has_extended: whether further matches are known: the next image of every caption.
        has_levels: whether captions have levels.
        decimals: of the similarities; 1 gives many equal ones.
        captions: texts, by default those of their numbers.
    """

    folder: Path
    n_images: int = 20
    skill: float = 0.3
    posteriors: tuple[str, ...] = ("p",)
    has_files: bool = True
    has_extended: bool = False
    has_levels: bool = False
    decimals: int = 6
    captions: tuple[str, ...] = ()
    seed: int = 0
    estimators: tuple[str, ...] = ESTIMATORS
    requested: list[str] = field(default_factory=list)
    """Image files that were verified."""
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    """Those made so far, by posterior."""

    @cached_property
    def split(self) -> Split:
        """The split; images have the colour of their number."""
        images = [f"image-{number}" for number in range(self.n_images)]
        paths = [f"raw/d/test/{image}.png" if self.has_files else "" for image in images]
        owners = np.repeat(np.arange(self.n_images), 2)
        captions = [f"caption {number}" for number in range(len(owners))]
        captions[: len(self.captions)] = self.captions
        for number, path in enumerate(filter(None, paths)):
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (96, 60), (number % 256, 100, 50)).save(self.folder / path)
        return Split(
            image_ids=images,
            image_paths=paths,
            caption_ids=[f"{images[owner]}#{number}" for number, owner in enumerate(owners)],
            captions=captions,
            image_of_caption=owners,
            extended=[np.unique([o, (o + 1) % self.n_images]) for o in owners] if self.has_extended else None,
            levels=["exact", "vague"] * self.n_images if self.has_levels else None,
        )

    def rankings(self, posterior: str) -> dict[Direction, Ranking]:
        """The rankings of both directions."""
        rng = np.random.default_rng([self.seed, self.posteriors.index(posterior)])
        similar = rng.random((2 * self.n_images, self.n_images)) * 0.4
        similar[np.arange(len(similar)), self.split.image_of_caption] += self.skill
        similar = similar.round(self.decimals)
        names = (self.split.caption_ids, self.split.image_ids)
        matrices = {"t2i": (similar, *names), "i2t": (similar.T, *names[::-1])}
        return {
            direction: replace(make_ranking(matrix, (TEMPERATURE,)), query_ids=queries, gallery_ids=gallery)
            for direction, (matrix, queries, gallery) in matrices.items()
        }

    def scores(self, posterior: str) -> pd.DataFrame:
        """The score table."""
        temperatures = Temperatures(TEMPERATURE, TEMPERATURE)
        rankings = self.rankings(posterior)
        parts = [
            score_direction(self.split, d, EstimatorInputs(rankings[d], temperatures=temperatures), self.estimators)
            for d in DIRECTIONS
        ]
        return pd.concat(parts, ignore_index=True)

    def evaluation(self, posterior: str) -> Evaluation:
        """Metrics and curves, as the rule `evaluate` makes them."""
        names = {"dataset": "d", "posterior": posterior, "kind": "deterministic", "architecture": "tiny"}
        names |= {"members": posterior, "n_skipped": 0, "n_truncated": 0}
        if posterior not in self.evaluations:
            measured = evaluate(self.scores(posterior), SPEC, bootstrap_seed(self.seed, "d", "test"))
            self.evaluations[posterior] = replace(measured, metrics=measured.metrics.assign(**names))
        return self.evaluations[posterior]

    def table(self) -> pd.DataFrame:
        """The table of all posteriors, as the rule `table` writes it."""
        return PublishedNumbers().add_columns(combine_metrics([self.evaluation(p).metrics for p in self.posteriors]))

    def results(self, **changes: object) -> ReportResults:
        """What a report on the table is made from."""
        facts = {"encoders": [ENCODER], "samples": 1, "n_skipped": 0, "skipped": [], "n_truncated": 0}
        values = {
            "tables": {"small": (self.table().assign(split="test"), PublishedNumbers())},
            "read": lambda d, s, p: PosteriorResults(self.scores(p), self.evaluation(p).calibration),
            "read_cards": lambda d, s, p: CardSource(
                self.split, self.rankings(p), self.scores(p), self.requested.extend
            ),
            "facts": {("d", "test", p): facts for p in self.posteriors},
            "splits": {("d", "test"): (self.split, "0" * 64)},
            "entries": {"seed": self.seed, "tables.small": {"datasets": ["d"]}},
        }
        return ReportResults(**values | changes)

    def settings(self, **changes: object) -> ReportSettings:
        """How the report is made."""
        values = {"name": "small", "rebuild": "snakemake results/reports/small.html", "queries": 10}
        values |= {"evaluation": SPEC, "seed": self.seed, "data": self.folder}
        return ReportSettings(**values | changes)
