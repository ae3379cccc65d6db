"""Fine-tune the image tower of an encoder on attacked images of a data set of classes.

Reads: the train and val splits and their images, and the weights of the encoder that training starts from.
Computes: the trained weights, and after each epoch the accuracy on the val split, clean and under the attack.
Writes: data/encoders/{encoder}.safetensors, results/training/{encoder}.csv, and until it is done
data/encoders/.{encoder}.state, from which a killed job continues.
"""

from overtop.config.encoders import EncoderSpec
from overtop.device import default_device
from overtop.pipeline.job import Job, run
from overtop.pipeline.raw_files import ensure_files
from overtop.progress import progress_bar
from overtop.storage.split import read_split
from overtop.training.adversarial import finetune_encoder
from overtop.training.finetune_run import FinetuneRun
from overtop.training.processes import process_count


def main(job: Job) -> None:
    """Fine-tune one encoder."""
    name, params = job.wildcards.encoder, job.params
    spec = EncoderSpec.model_validate(params.encoder)
    train, validation = read_split(job.input.train), read_split(job.input.val)
    ensure_files(job, job.input.train_source, train.image_paths)
    ensure_files(job, job.input.val_source, validation.image_paths)
    assert spec.finetune is not None, "the rule has no inputs for other encoders"
    finetune_run = FinetuneRun(
        name=name,
        spec=spec.finetune,
        base=EncoderSpec.model_validate(params.base),
        checkpoint=job.input.get("checkpoint"),
        train=train,
        validation=validation,
        output=job.output.checkpoint,
        log=job.output.log,
        seed=params.seed,
        data=params.data,
    )
    with progress_bar(f"fine-tune {name}", "step") as progress:
        finetune_encoder(finetune_run, default_device(), processes=process_count(spec.finetune.gpus), progress=progress)


if __name__ == "__main__":
    run(main)
