"""Size of the page of a report on two data sets like COCO with five posteriors, and the time that it takes."""

import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from bench.sizes import BenchmarkSizes
from bench.targets import PartResult, check_target
from overtop.config.evaluation import BootstrapSpec, EvaluationSpec
from overtop.report.assemble import ReportResults, ReportSettings, make_document
from overtop.report.cards import CardSource
from overtop.report.page import render_page
from overtop.report.panels import PosteriorResults
from overtop.report.size import MAX_BYTES
from overtop.retrieval.ranking import Ranking
from overtop.storage.split import Split
from overtop.tables.published import PublishedNumbers
from overtop.tables.rows import COLUMNS, INTERVALS
from overtop.terms import DIRECTIONS, ESTIMATORS

DATASETS = ("mscoco", "flickr30k")
POSTERIORS = tuple(f"posterior-{number}" for number in range(5))
CAPTIONS_PER_IMAGE = 5
RECALL_AT_1 = 0.5
N_ITEMS = 10
WORDS = ("man", "dog", "red", "bus", "street", "two", "people", "riding", "large", "white", "plate", "near", "table")
PHOTOGRAPH = (160, 120)


@dataclass(frozen=True)
class LargeWorld:
    """Random results of one data set; photographs are made when a report asks for them."""

    folder: Path
    dataset: str
    n_images: int
    estimators: tuple[str, ...]

    @cached_property
    def split(self) -> Split:
        """Images, and captions of the length of COCO's."""
        rng = np.random.default_rng(0)
        images = [f"COCO_val2014_{number:012}.jpg" for number in range(self.n_images)]
        owners = np.repeat(np.arange(self.n_images), CAPTIONS_PER_IMAGE)
        return Split(
            image_ids=images,
            image_paths=[f"{self.dataset}/{image}" for image in images],
            caption_ids=[f"{images[owner]}#{number % CAPTIONS_PER_IMAGE}" for number, owner in enumerate(owners)],
            captions=[" ".join(rng.choice(WORDS, 11)) for _ in owners],
            image_of_caption=owners,
        )

    def make_photographs(self, paths: Iterable[str]) -> None:
        """Write pictures with the spectrum of photographs."""
        rows, columns = (np.fft.fftfreq(side) for side in PHOTOGRAPH[::-1])
        falloff = 1 / np.maximum(np.hypot(rows[:, None], columns), 1 / max(PHOTOGRAPH))
        for path in paths:
            rng = np.random.default_rng(list(path.encode()))
            waves = falloff[..., None] * np.fft.fft2(rng.normal(size=(*falloff.shape, 3)), axes=(0, 1))
            colours = np.fft.ifft2(waves, axes=(0, 1)).real
            pixels = np.clip(128 + 60 * colours / colours.std(), 0, 255).astype(np.uint8)
            (self.folder / path).parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(self.folder / path, quality=80)

    def queries(self, direction: str) -> tuple[list[str], list[str]]:
        """The names of the queries, and of their images."""
        if direction == "i2t":
            return self.split.image_ids, self.split.image_ids
        return self.split.caption_ids, [self.split.image_ids[image] for image in self.split.image_of_caption]

    def scores(self) -> pd.DataFrame:
        """The score table of a posterior: uncertain queries are more often wrong."""
        parts = []
        for direction in DIRECTIONS:
            rng = np.random.default_rng(1)
            query_ids, image_ids = self.queries(direction)
            difficulty = rng.random(len(query_ids))
            hit = rng.random(len(query_ids)) > difficulty
            for name in self.estimators:
                columns = {"direction": direction, "estimator": name, "protocol": "corrected", "query_id": query_ids}
                columns |= {"image_id": image_ids, "uncertainty": difficulty + 0.3 * rng.random(len(query_ids))}
                columns |= {"hit": hit, "hit_extended": pd.NA, "rank": np.where(hit, 1.0, np.inf)}
                parts.append(pd.DataFrame(columns | {"rank_extended": np.nan}))
        return pd.concat(parts, ignore_index=True)

    def rankings(self) -> dict[str, Ranking]:
        """Random items for every query: hardly any is shown twice."""
        rng, rankings = np.random.default_rng(2), {}
        galleries = {"t2i": self.split.image_ids, "i2t": self.split.caption_ids}
        for direction in DIRECTIONS:
            query_ids, _ = self.queries(direction)
            shape = (len(query_ids), N_ITEMS)
            top = rng.integers(0, len(galleries[direction]), shape).astype(np.int32)
            similar = np.sort(rng.random(shape).astype(np.float32))[:, ::-1]
            rankings[direction] = Ranking(query_ids, galleries[direction], top, similar, top[:, None, :1])
        return rankings

    def table(self) -> pd.DataFrame:
        """A row for each method, with made-up measures."""
        rng, rows = np.random.default_rng(3), []
        for direction in DIRECTIONS:
            sizes = {"n_queries": len(self.queries(direction)[0]), "n_clusters": self.n_images}
            for number, posterior in enumerate(POSTERIORS):
                for estimator in self.estimators:
                    row = dict.fromkeys(COLUMNS, 0.0)
                    for name in INTERVALS:
                        row |= {f"{name}{end}": round(rng.random(), 6) for end in ("", "_low", "_high")}
                    row |= {"dataset": self.dataset, "split": "test", "direction": direction, "posterior": posterior}
                    row |= {"kind": "deterministic", "architecture": f"ViT-{number}", "estimator": estimator}
                    row |= {"protocol": "corrected", "binning": "equal_width", "positives": "labelled", **sizes}
                    row |= {"recall_at_1": RECALL_AT_1, "recall_at_1_low": RECALL_AT_1 - 0.01, "members_off": ""}
                    rows.append(row | {"members": posterior, "members_unchecked": 0, "n_tied": 0})
        return pd.DataFrame(rows)

    def calibration(self) -> pd.DataFrame:
        """Ten bins for each method."""
        keys = [{"direction": d, "estimator": e} for d in DIRECTIONS for e in self.estimators]
        setup = {"protocol": "corrected", "binning": "equal_width", "positives": "labelled"}
        bins = [{"level": level, "recall_at_1": 1 - level / 10, "n_queries": 2500} for level in range(10)]
        return pd.DataFrame([{**key, **setup, **values} for key in keys for values in bins])


def run(sizes: BenchmarkSizes) -> PartResult:
    """Make the page and measure it."""
    spec = EvaluationSpec(bootstrap=BootstrapSpec(resamples=sizes.report_resamples))
    with tempfile.TemporaryDirectory() as folder:
        estimators = ESTIMATORS[: sizes.report_estimators]
        worlds = {name: LargeWorld(Path(folder), name, sizes.report_images, estimators) for name in DATASETS}
        results = ReportResults(
            tables={name: (world.table(), PublishedNumbers()) for name, world in worlds.items()},
            read=lambda dataset, *_: PosteriorResults(worlds[dataset].scores(), worlds[dataset].calibration()),
            read_cards=lambda dataset, *_: CardSource(
                worlds[dataset].split,
                worlds[dataset].rankings(),
                worlds[dataset].scores(),
                worlds[dataset].make_photographs,
            ),
            facts={},
            splits={},
            entries={},
        )
        settings = ReportSettings("coco", "snakemake coco", 300, spec, 0, Path(folder), 2)
        start = time.perf_counter()
        document = make_document(results, settings)
        seconds = time.perf_counter() - start
    size = len(render_page(document).encode())
    panels, shown = len(document.panels), [len(cards.id) for cards in document.queries]
    what = f"{panels} panels x {len(POSTERIORS) * len(estimators)} methods, {sizes.report_images} images"
    row = {"what": what, "bytes": size, "thumbnails": len(document.thumbnails), "cards": min(shown, default=0)}
    row |= {"coverages": len(document.panels[0].coverage), "resamples": sizes.report_resamples, "seconds": seconds}
    return PartResult(
        {"report": pd.DataFrame([row])},
        [
            check_target(f"size of a report, {what}", size / 1e6, "at most", MAX_BYTES / 1e6, " MB"),
            check_target(f"query cards of each panel of a report, {what}", row["cards"], "at least", 50),
        ],
    )
