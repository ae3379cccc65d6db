"""Embed one slice of the images of a split as an attack perturbs them.

Reads: the split, the text embeddings of the encoder on it, its weights and the image files; for a worst case over
attacks, the embeddings of the clean images and of those attacks instead of weights and files.
Computes: perturbed images for which a wrong answer comes first, where the attack finds them, and all samples of their
embeddings, in float32 and at the resolution that the model sees.
Writes: results/attacks/{dataset}/{split}/{encoder}/{attack}/{sampling}/image-{shard}of{shards}.h5.
"""

from dataclasses import asdict
from typing import Any

import numpy as np

from overtop.attacks.gallery import Gallery
from overtop.attacks.shard import Outcome
from overtop.attacks.worst import ViewShard, choose_worst, judge_views, take_views, worst_outcome
from overtop.device import reproducible
from overtop.encoders.embedding import ShardKey
from overtop.encoders.sampling import Sampling
from overtop.pipeline.attack_job import load_attack
from overtop.pipeline.job import Job, run
from overtop.progress import progress_bar
from overtop.storage.shards import write_shard
from overtop.storage.split import read_split


def main(job: Job) -> None:
    """Attack and write one shard."""
    if job.params.attack["kind"] == "worst":
        _write_worst_case(job)
    else:
        _write_attacked(job)


def _write_attacked(job: Job) -> None:
    wildcards, params = job.wildcards, job.params
    attack = load_attack(job, ShardKey("image", int(wildcards.shard), int(wildcards.shards)))
    encoder = attack.classifier.encoder
    with reproducible(job.threads, params.seed), progress_bar(f"{wildcards.attack} on {encoder.name}", "image") as bar:
        batch, item_ids, outcome = attack.embed(Sampling.parse(wildcards.sampling), bar)
    dtype = params.many_samples_dtype if len(batch.embedding) > 1 else "float32"
    embedding = batch.embedding.astype(np.dtype(dtype), copy=False)
    provenance = _make_provenance(job, encoder.identity, batch.dropout, attack.describe(), outcome)
    write_shard(job.output[0], embedding, item_ids, batch.valid, provenance)


def _write_worst_case(job: Job) -> None:
    """Choose by the embeddings without dropout, and take the samples of what was chosen."""
    judged, sampled = ([ViewShard.read(path) for path in paths] for paths in (job.input.judged, job.input.sampled))
    split, clean, attacks = read_split(job.input.split), judged[0].provenance, judged[1:]
    is_wrong, margins = judge_views(judged, split, Gallery.read(job.input.text, split, clean["encoder"]))
    embedding = take_views(sampled, choose_worst(is_wrong, margins))
    described = {"kind": "worst", "of": [view.provenance["attack"] for view in attacks]}
    outcome = worst_outcome(attacks, is_wrong)
    dropout = sampled[0].provenance["dropped"]
    provenance = _make_provenance(job, clean["encoder"], dropout, described, outcome)
    write_shard(job.output[0], embedding, judged[0].item_ids, judged[0].valid, provenance)


def _make_provenance(
    job: Job, encoder: dict[str, Any], dropout: str, attack: dict[str, Any], outcome: Outcome
) -> dict[str, Any]:
    wildcards, params = job.wildcards, job.params
    return {
        "dataset": wildcards.dataset,
        "split": wildcards.split,
        "encoder": encoder,
        "sampling": wildcards.sampling,
        "dropped": dropout,
        "modality": "image",
        "view": wildcards.attack,
        "attack": {"name": wildcards.attack, **attack},
        "outcome": asdict(outcome),
        "shard": int(wildcards.shard),
        "shards": int(wildcards.shards),
        "seed": params.seed,
        "batch_size": params.batch_size,
        "precision": "fp32",
        "dtype": params.many_samples_dtype,
    }


if __name__ == "__main__":
    run(main)
