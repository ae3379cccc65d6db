"""Keep the pixels of the first batch of a split under an attack, and draw some of them to look at.

Reads: the split, the text embeddings of the encoder on it, its weights and the image files.
Computes: the perturbed images that the rule `attack` embeds, for the first batch of its first shard.
Writes: results/perturbed/{dataset}/{split}/{encoder}/{attack}.h5, .pdf, .png.
"""

import numpy as np
from scipy.special import log_softmax

from overtop.attacks.pictures import Pictures, perturb_first_batch, write_pictures
from overtop.device import reproducible
from overtop.encoders.embedding import ShardKey
from overtop.figures.perturbed import Answers, perturbed_figure
from overtop.figures.style import save_figure
from overtop.pipeline.attack_job import load_attack
from overtop.pipeline.job import Job, run
from overtop.retrieval.groups import declare_groups
from overtop.storage.split import Split

SHOWN = 8
"""Images in the picture."""


def main(job: Job) -> None:
    """Perturb one batch, write its pixels and draw some of them."""
    wildcards, params = job.wildcards, job.params
    attack = load_attack(job, ShardKey("image", 0, params.shards))
    encoder = attack.classifier.encoder
    with reproducible(job.threads, params.seed):
        pictures = perturb_first_batch(attack)
    provenance = {"dataset": wildcards.dataset, "split": wildcards.split, "encoder": encoder.identity}
    specification = {"name": wildcards.attack, **attack.describe()}
    write_pictures(job.output.pixels, pictures, {**provenance, "attack": specification, "seed": params.seed})
    title = (
        f"{wildcards.dataset} ({wildcards.split}), {encoder.name}, {wildcards.attack}: "
        f"{attack.spec.kind}, epsilon {attack.spec.epsilon:g}/255, {attack.spec.steps} steps"
    )
    before, after = (
        _top_answers(attack.split, logits[:SHOWN], pictures)
        for logits in (pictures.logits_clean, pictures.logits_attacked)
    )
    clean, attacked = pictures.clean[:SHOWN], pictures.attacked[:SHOWN]
    figure = perturbed_figure(clean, attacked, before, after, attack.spec.epsilon, title)
    save_figure(figure, job.output.pdf, job.output.png)


def _top_answers(split: Split, logits: np.ndarray, pictures: Pictures) -> Answers:
    """The top-1 answers of logits (n, G); the answer of a group of captions is the first of them."""
    top = logits.argmax(axis=1)
    captions = top if split.is_classes else np.searchsorted(declare_groups(split, "i2t", split.caption_ids), top)
    log_probability = log_softmax(logits, axis=1)
    return Answers(
        [split.captions[caption] for caption in captions],
        pictures.is_positive[np.arange(len(top)), top],
        -(np.exp(log_probability) * log_probability).sum(axis=1),
    )


if __name__ == "__main__":
    run(main)
