"""The attack that a job of the rules `attack` and `perturb` runs."""

from pydantic import TypeAdapter

from overtop.attacks.shard import ShardAttack
from overtop.config.attacks import AttackSpec
from overtop.config.encoders import EncoderSpec
from overtop.device import default_device
from overtop.encoders.embedding import ShardKey
from overtop.encoders.loading import load_encoder
from overtop.pipeline.job import Job
from overtop.pipeline.raw_files import ensure_files
from overtop.storage.split import read_split


def load_attack(job: Job, key: ShardKey) -> ShardAttack:
    """The attack of a job on a shard of its images, which are verified, with encoder, gallery and split loaded.

    Raises:
        OvertopError: an input is missing or damaged, or the text shards are of another encoder or split.
    """
    params = job.params
    encoder = load_encoder(
        job.wildcards.encoder,
        EncoderSpec.model_validate(params.encoder),
        job.input.get("checkpoint"),
        default_device(),
        data=params.data,
    )
    attack = ShardAttack.against(
        encoder,
        read_split(job.input.split),
        job.input.text,
        key,
        spec=TypeAdapter(AttackSpec).validate_python(params.attack),
        seed=params.seed,
        batch_size=params.batch_size,
        data=params.data,
        on_error=params.on_error,
    )
    ensure_files(job, job.input.source, (attack.split.image_paths[row] for row in attack.rows))
    return attack
