"""Fine-tuning as a whole: what it writes, that a killed run ends like an undisturbed one, and which epoch is chosen."""

import logging
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from helpers.encoder_inputs import SHAPES_SPEC
from overtop.encoders.loading import load_encoder
from overtop.encoders.weights import METADATA_KEY
from overtop.errors import OvertopError
from overtop.storage.split import split_from_labels
from overtop.storage.tensors import read_facts
from overtop.training import adversarial
from overtop.training.adversarial import finetune_encoder
from overtop.training.finetune_run import FinetuneRun
from overtop.training.processes import Process
from overtop.training.progress_state import state_path

STEPS = 4
"""Steps of two epochs of 20 images in batches of 8."""

KILLED_SCRIPT = """
import pickle, sys
from overtop.training.adversarial import finetune_encoder
with open(sys.argv[1], "rb") as file:
    run = pickle.load(file)
def progress(done, total):
    if done == 3:
        print("three steps done", flush=True)
        sys.stdin.read()
finetune_encoder(run, progress=progress)
"""


class _Killed(Exception):
    pass


def _kill_at(step):
    def progress(done, total):
        if done == step:
            raise _Killed

    return progress


def _files(run: FinetuneRun) -> tuple[bytes, bytes]:
    return Path(run.output).read_bytes(), Path(run.log).read_bytes()


def _finetune_undisturbed(run: FinetuneRun, folder: Path) -> tuple[bytes, bytes]:
    other = replace(run, output=folder / "undisturbed.safetensors", log=folder / "undisturbed.csv")
    finetune_encoder(other)
    return _files(other)


def test_output_is_the_base_with_another_image_tower(make_run, colours):
    run = make_run()
    finetune_encoder(run)
    before, after = load_file(colours.checkpoint), load_file(run.output)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith("visual.")}


def test_output_loads_with_the_preprocessing_of_the_base(make_run, colours):
    run = make_run()
    finetune_encoder(run)
    base = load_encoder("base", SHAPES_SPEC, colours.checkpoint)
    tuned = load_encoder("tuned", SHAPES_SPEC, run.output)
    assert tuned.provenance["preprocessing"] == base.provenance["preprocessing"]
    facts = read_facts(run.output, METADATA_KEY)
    assert facts["base"]["checkpoint_sha256"] == base.provenance["checkpoint_sha256"]
    assert facts["finetune"]["objective"] == {"kind": "tecoa"}


def test_only_the_last_blocks_are_trained(make_run, colours):
    run = make_run(blocks=1)
    finetune_encoder(run)
    before, after = load_file(colours.checkpoint), load_file(run.output)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    last = ("visual.transformer.resblocks.2.", "visual.ln_post.", "visual.proj")
    assert changed == {name for name in before if name.startswith(last)}


def test_log_has_a_row_per_step_and_accuracies_after_each_epoch(make_run):
    run = make_run(objective={"kind": "ucat"}, warm_up_steps=2)
    calls = []
    finetune_encoder(run, progress=lambda done, total: calls.append((done, total)))
    log = pd.read_csv(run.log)
    assert calls == [(step, STEPS) for step in range(1, STEPS + 1)]
    first, last = adversarial.LOG_COLUMNS[:4], adversarial.LOG_COLUMNS[4:]
    assert list(log) == [*first, "cross_entropy", "kl_dirichlet", *last]
    assert log["step"].tolist() == [0, 1, 2, 3, 4]
    assert log["epoch"].tolist() == [0, 1, 1, 2, 2]
    assert log["learning_rate"].tolist() == pytest.approx([0, 0.005, 0.01, 0.01, 0.005])
    assert log["val_clean"].notna().tolist() == log["val_robust"].notna().tolist() == [True, False, True, False, True]
    np.testing.assert_allclose(log["loss"][1:], (log["cross_entropy"] + log["kl_dirichlet"])[1:], rtol=1e-6)


@pytest.mark.parametrize(("optimizer", "killed_at"), [("sgd", 1), ("sgd", 2), ("adamw", 3)])
def test_killed_run_continues_and_ends_with_the_same_bytes(make_run, tmp_path, optimizer, killed_at):
    run = make_run(optimizer=optimizer, learning_rate=0.003, checkpoint_steps=1)
    expected = _finetune_undisturbed(run, tmp_path)
    with pytest.raises(_Killed):
        finetune_encoder(run, progress=_kill_at(killed_at))
    assert not Path(run.output).exists()
    done = []
    finetune_encoder(run, progress=lambda step, _: done.append(step))
    assert done == list(range(killed_at + 1, STEPS + 1))
    assert _files(run) == expected
    assert not state_path(run.output).exists()


def test_run_killed_between_two_states_repeats_the_steps_since_the_last(make_run, tmp_path):
    run = make_run(checkpoint_steps=2)
    expected = _finetune_undisturbed(run, tmp_path)
    with pytest.raises(_Killed):
        finetune_encoder(run, progress=_kill_at(3))
    done = []
    finetune_encoder(run, progress=lambda step, _: done.append(step))
    assert done == [3, 4]
    assert _files(run) == expected


def test_killed_process_continues_and_ends_with_the_same_bytes(make_run, tmp_path):
    run = make_run(checkpoint_steps=1)
    expected = _finetune_undisturbed(run, tmp_path)
    (tmp_path / "run.pickle").write_bytes(pickle.dumps(run))
    command = [sys.executable, "-c", KILLED_SCRIPT, str(tmp_path / "run.pickle")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "three steps done\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert state_path(run.output).exists()
    assert not Path(run.output).exists()
    done = []
    finetune_encoder(run, progress=lambda step, _: done.append(step))
    assert done == [4]
    assert _files(run) == expected


def test_digest_of_a_run_depends_on_all_that_determines_its_weights(make_run, colours):
    run, base = make_run(), load_encoder("base", SHAPES_SPEC, colours.checkpoint)
    other_weights = replace(base, provenance={**base.provenance, "checkpoint_sha256": "other"})
    other_order = split_from_labels(
        run.train.image_ids[::-1], run.train.image_paths[::-1], [[0]] * 20, run.train.captions, ["{c}"]
    )
    one = Process(0, 1, "cpu")
    digests = [
        run.digest(base, one),
        run.digest(base, Process(0, 2, "cpu")),
        run.digest(other_weights, one),
        replace(run, train=other_order).digest(base, one),
        replace(run, seed=1).digest(base, one),
        *(make_run(**{key: value}).digest(base, one) for key, value in {"epochs": 3, "precision": "bf16"}.items()),
    ]
    assert len(set(digests)) == len(digests)
    assert make_run(checkpoint_steps=1).digest(base, one) == digests[0]


def test_state_of_another_configuration_is_ignored(make_run, tmp_path, caplog):
    with pytest.raises(_Killed):
        finetune_encoder(make_run(checkpoint_steps=1), progress=_kill_at(3))
    run = make_run(learning_rate=0.02)
    expected = _finetune_undisturbed(run, tmp_path)
    with caplog.at_level(logging.WARNING):
        finetune_encoder(run)
    assert "of another configuration or other inputs" in caplog.text
    assert _files(run) == expected


def test_damaged_state_is_ignored(make_run, tmp_path, caplog):
    run = make_run()
    expected = _finetune_undisturbed(run, tmp_path)
    state_path(run.output).write_bytes(b"PK\x03\x04 not a state")
    finetune_encoder(run)
    assert "content differs from its digest" in caplog.text
    assert _files(run) == expected


@pytest.mark.parametrize(
    ("clean", "robust", "best"),
    [
        ([0.9, 0.6, 0.5], [0.1, 0.5, 0.6], 2),  # harmonic means .18, .545, .545: of equal ones the earlier
        ([0.5, 0.6, 0.5], [0.5, 0.5, 0.6], 2),
        ([0.4, 0.4, 1.0], [0.2, 0.3, 0.0], 2),
        ([1.0, 1.0, 1.0], [0.0, 0.0, 0.0], 1),
        ([0.0, 0.0, 0.1], [0.0, 0.0, 0.1], 3),
    ],
)
def test_epoch_with_the_largest_harmonic_mean_is_written(make_run, monkeypatch, clean, robust, best):
    accuracies = iter([(0.9, 0.9), *zip(clean, robust, strict=True)])  # the first is before training

    def measure(trainer):
        clean, robust = next(accuracies)
        return {"val_clean": clean, "val_robust": robust, "val_score": adversarial.harmonic_mean(clean, robust)}

    monkeypatch.setattr(adversarial._Trainer, "_validate", measure)
    run = make_run(epochs=3)
    finetune_encoder(run)
    assert read_facts(run.output, METADATA_KEY)["epoch"] == best
    # The weights are those of a run with that number of batches of the same schedule.
    perfect = dict.fromkeys(adversarial.LOG_COLUMNS[4:], 1.0)
    monkeypatch.setattr(adversarial._Trainer, "_validate", lambda trainer: perfect)
    weights = {}
    keep = adversarial._Trainer._keep_if_best

    def record(trainer, epoch, row):
        keep(trainer, epoch, row)
        weights[epoch] = trainer._encoder.model.visual.proj.detach().clone()

    monkeypatch.setattr(adversarial._Trainer, "_keep_if_best", record)
    finetune_encoder(replace(run, output=Path(run.output).with_name("other.safetensors")))
    assert torch.equal(load_file(run.output)["visual.proj"], weights[best])


def test_training_raises_accuracy_under_attack(make_run):
    run = make_run(epochs=6, optimizer="adamw", learning_rate=1e-3)
    finetune_encoder(run)
    robust = pd.read_csv(run.log)["val_robust"].dropna().tolist()
    assert robust[0] < 0.3
    assert max(robust) == 1.0


@pytest.mark.parametrize("kind", ["pmg_aft", "fare", "tga", "agft"])
def test_other_objectives_train_reproducibly(make_run, kind, tmp_path):
    run = make_run(objective={"kind": kind}, epochs=1, learning_rate=1e-3, accumulate=2)
    finetune_encoder(run)
    assert _finetune_undisturbed(run, tmp_path) == _files(run)
    assert np.isfinite(pd.read_csv(run.log)["loss"][1:]).all()


def test_mixed_precision_is_close_to_full_precision(make_run):
    losses = {}
    for precision in ("fp32", "bf16"):
        run = make_run(precision, precision=precision, epochs=1)
        finetune_encoder(run)
        losses[precision] = pd.read_csv(run.log)["loss"][1:]
    assert (losses["fp32"] != losses["bf16"]).any()
    np.testing.assert_allclose(losses["bf16"], losses["fp32"], rtol=0.05)


def test_finetuned_encoder_can_be_finetuned(make_run):
    first = make_run("first", epochs=1)
    finetune_encoder(first)
    second = replace(make_run("second", epochs=1), checkpoint=first.output)
    finetune_encoder(second)
    assert pd.read_csv(second.log)["val_clean"][0] == pd.read_csv(first.log)["val_clean"][2]


def test_regulariser_that_outweighs_the_data_is_reported(make_run, caplog):
    with caplog.at_level(logging.INFO):
        finetune_encoder(make_run(objective={"kind": "ucat", "weight": 1e4}, learning_rate=1e-4))
    assert f"mean terms of the first {STEPS} steps: cross_entropy" in caplog.text
    assert "times cross_entropy" in caplog.text


@pytest.mark.parametrize(
    ("batch_size", "sign"), [(8, "cross_entropy is nan in step 2"), (20, "embeddings are not finite in step 1")]
)
def test_diverging_training_names_the_key(make_run, batch_size, sign):
    run = make_run(learning_rate=1e30, batch_size=batch_size)
    with pytest.raises(
        OvertopError, match=rf"encoders\.tuned\.finetune: training diverged, {sign}; reduce learning_rate"
    ):
        finetune_encoder(run)
    assert not Path(run.output).exists()


def test_batch_larger_than_the_split_is_rejected(make_run):
    with pytest.raises(OvertopError, match=r"encoders\.tuned\.finetune\.batch_size is 21, .* only 20 images"):
        finetune_encoder(make_run(batch_size=21))


def test_batch_as_large_as_the_split_is_one_step_per_epoch(make_run):
    run = make_run(batch_size=20)
    finetune_encoder(run)
    assert len(pd.read_csv(run.log)) == 1 + 2


def test_splits_of_different_classes_are_rejected(make_run):
    run = make_run()
    other = split_from_labels(["a"], ["a.png"], [[0]], ["purple"], ["{c}"])
    with pytest.raises(OvertopError, match="'train' and 'val' of data set 'colours' have different classes"):
        finetune_encoder(replace(run, validation=other))


@pytest.mark.slow
def test_two_processes_compute_what_one_does(make_run):
    logs, weights = [], []
    for processes in (1, 2):
        settings = {"objective": {"kind": "pmg_aft"}, "epochs": 1, "accumulate": 2 // processes}
        run, done = make_run(f"tuned-{processes}", **settings), []
        finetune_encoder(run, processes=processes, progress=lambda step, _, done=done: done.append(step))
        assert done == [1, 2]
        logs.append(pd.read_csv(run.log))
        weights.append(load_file(run.output))
    pd.testing.assert_frame_equal(*logs, rtol=1e-5)
    for name, expected in weights[0].items():
        torch.testing.assert_close(weights[1][name], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_error_of_one_of_several_processes_is_raised(make_run):
    run = make_run(objective={"kind": "tecoa"})
    paths = [*run.train.image_paths[:-1], "missing.png"]
    with pytest.raises(OvertopError, match=r"missing\.png: cannot be read"):
        finetune_encoder(replace(run, train=replace(run.train, image_paths=paths)), processes=2)
