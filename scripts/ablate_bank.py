"""Measure what the bank estimators of one posterior depend on: size, parameters and queries of the bank.

Reads: the manifest, the ranking and the shards of the posterior on a split, its shards on the split of the bank and of
a foreign bank if there is one, and the fitted temperatures if the configuration uses them.
Computes: AUROC and AURC of the bank estimators, and R@1 of the re-ranked items, from dense similarities.
Writes: results/ablations/{figure}.csv, one row per direction, estimator, varied value and draw.
"""

from contextlib import ExitStack

import pandas as pd

from overtop.evaluation.bank_ablation import ablate_bank
from overtop.evaluation.bank_similarities import Sources, evaluated_queries, make_banks, make_gallery
from overtop.evaluation.rounding import round_floats
from overtop.pipeline.job import Job, run
from overtop.retrieval.bank import check_bank, draw_queries
from overtop.retrieval.ranking import read_ranking
from overtop.retrieval.temperature import load_temperatures
from overtop.seeds import derive_seed
from overtop.storage.shards import ShardSource, open_posterior
from overtop.storage.split import read_split
from overtop.storage.tables import write_table


def main(job: Job) -> None:
    """Measure the banks of one figure in both directions."""
    figure, passes = job.params.spec["figure"], job.params.spec["passes"]
    split, (rankings, _) = read_split(job.input.manifest), read_ranking(job.input.ranking)
    temperatures = load_temperatures(job.params.temperature, job.input.temperatures)
    tables = []
    with ExitStack() as stack:
        evaluated = stack.enter_context(open_posterior(job.input.image, job.input.text, passes))
        own = stack.enter_context(open_posterior(job.input.bank_image, job.input.bank_text, passes))
        banks = [_draw_bank(own, evaluated, job.params.spec["bank"])]
        if figure["foreign"]:
            paths = job.input.foreign_image, job.input.foreign_text
            foreign = stack.enter_context(open_posterior(*paths, passes))
            banks.append(_draw_bank(foreign, evaluated, figure["foreign"]))
        for direction in rankings:
            seed = derive_seed(job.params.seed, "bank ablation", direction)
            temperature = temperatures[direction].softmax
            queries = evaluated_queries(direction, split, rankings[direction], evaluated)
            gallery = make_gallery(queries, rankings[direction], temperature)
            compared = make_banks(direction, queries, banks[0], banks[1] if figure["foreign"] else None, seed)
            tables.append(ablate_bank(gallery, compared, seed).assign(direction=direction))
    names = {"dataset": figure["dataset"], "posterior": figure["posterior"]}
    write_table(job.output[0], round_floats(pd.concat(tables, ignore_index=True).assign(**names)))


def _draw_bank(
    bank: tuple[ShardSource, ShardSource], evaluated: tuple[ShardSource, ShardSource], spec: dict[str, int | None]
) -> Sources:
    """The images and texts of a bank, which is checked."""
    check_bank(bank, evaluated)
    images, texts = (draw_queries(source, spec["size"], spec["seed"] or 0) for source in bank)
    return images, texts


if __name__ == "__main__":
    run(main)
