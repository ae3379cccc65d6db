"""Checks of encoders against open_clip's models and pretrained tags.

These import open_clip and torch, which takes seconds: Snakemake's main process runs them once, before the first job.
"""

from collections.abc import Iterator, Sequence

from overtop.config.encoders import EncoderSpec
from overtop.config.model import Config
from overtop.encoders.catalogue import check_encoder, has_mismatched_activation, native_activation
from overtop.errors import OvertopError
from overtop.pipeline.config_files import ConfigFile, find_origin


def check_encoders(config: Config, files: Sequence[ConfigFile] = ()) -> None:
    """Check that open_clip can build every encoder, and that activations match the weights where they must.

    Args:
        config: a configuration that `load_config` accepted.
        files: the files of the configuration, for messages.

    Raises:
        OvertopError: all mistakes at once, one line each with the key and the fix.
    """
    mistakes = list(_find_mistakes(config))
    if mistakes:
        raise OvertopError("\n".join(f"{find_origin(files, line)}: {line}" for line in mistakes))


def _find_mistakes(config: Config) -> Iterator[str]:
    buildable: dict[str, EncoderSpec] = {}
    for name, encoder in config.encoders.items():
        try:
            check_encoder(name, encoder)
            buildable[name] = encoder
        except OvertopError as error:
            if encoder.finetune is None:  # others have the error of their base
                yield str(error)
    for name, posterior in config.posteriors.items():
        for encoder_name in posterior.encoders():
            spec = buildable.get(encoder_name)
            if spec is not None and "corrected" in posterior.protocols and has_mismatched_activation(spec):
                yield (
                    f"posteriors.{name}: encoder {encoder_name!r} has activation {spec.activation}, but its weights "
                    f"were trained with {native_activation(spec)}; remove encoders.{encoder_name}.activation, or set "
                    f"posteriors.{name}.protocols to [published] to repeat the released code"
                )
