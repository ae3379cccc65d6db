"""Answer new queries: the top-1 of each, the probability that it is right, and whether to act on it.

Reads: the confidence models, the prepared gallery, and the queries: their shards, or a file or folder of embeddings;
the manifest of the texts among them.
Writes: results/answers/{answer}.parquet, with provenance, and .csv, one row per query.
"""

import json
import logging

from overtop.confidence.answer_blocks import AnswerFiles, answer_blocks, check_encoders
from overtop.confidence.answering import describe_promise
from overtop.confidence.model import read_models
from overtop.pipeline.answer_job import names_of_texts, open_job_items
from overtop.pipeline.job import Job, run
from overtop.progress import progress_bar
from overtop.retrieval.gallery_files import open_gallery

logger = logging.getLogger(__name__)


def main(job: Job) -> None:
    """Answer the queries of one answer."""
    params = job.params
    model = read_models(job.input.model)[params.direction]
    gallery = open_gallery(job.input.gallery)
    column, texts = "query" if params.direction == "t2i" else "top1", names_of_texts(job.input.texts)
    with open_job_items(job) as (queries, encoder), AnswerFiles(job.output.parquet, job.output.csv) as files:
        warnings = check_encoders(model, gallery, encoder)
        with progress_bar("answer", "query") as progress:
            for answers in answer_blocks(
                model,
                gallery,
                queries,
                precision=params.precision,
                dirichlet=params.dirichlet,
                progress=progress,
            ):
                files.write(answers.assign(**{column: [texts.get(name, name) for name in answers[column]]}))
        warnings += files.batch_warnings(model, gallery)
        promise = describe_promise(model, params.precision, gallery.fingerprint)
        facts = {
            "model": str(job.input.model),
            "estimator": model.estimator,
            "direction": params.direction,
            "precision": params.precision,
            "promise": promise,
            "warnings": warnings,
            "queries": files.n_queries,
            "acted": files.n_acted,
            "gallery": {"size": gallery.n_items, "fingerprint": gallery.fingerprint, "encoder": gallery.encoder},
        }
        files.describe({"provenance": json.dumps(facts)})
    logger.info("act on %d of %d queries: %s", files.n_acted, files.n_queries, promise)
    for warning in warnings:
        logger.warning("%s", warning)


if __name__ == "__main__":
    run(main)
