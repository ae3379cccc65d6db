import copy

import pytest

from helpers.pipeline import read_committed_config
from overtop.errors import OvertopError, did_you_mean
from overtop.pipeline.loading import MAX_MISTAKES, editor_schema, load_config


@pytest.fixture
def values(repo):
    return read_committed_config(repo)


def test_committed_configuration_is_valid(values):
    config = load_config(values)
    assert config.targets[0] == "results/tables/demo.csv"
    assert set(config.tables["demo"].posteriors) <= set(config.posteriors)


def test_committed_editor_schema_is_current(repo):
    committed = repo / "workflow" / "schemas" / "config.schema.json"
    assert committed.read_text() == editor_schema(), "run `make schema`"


def _set(values, path, value):
    values = copy.deepcopy(values)
    node = values
    *parents, last = path.split("/")
    for key in parents:
        node = node.setdefault(key, {})
    node[last] = value
    return values


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sead", 1, r"config\.yaml: sead: unknown key; did you mean 'seed'\?"),
        ("datasets/shapes/image_sice", 1, r"datasets\.shapes\.image_sice: .* did you mean 'image_size'"),
        ("datasets/x", {"kind": "shape"}, r"datasets\.x\.kind: no kind 'shape'; did you mean 'shapes'"),
        ("datasets/x", {"kind": "karpathy"}, r"datasets\.x: no source of its files; give `source`"),
        (
            "datasets/x",
            {"kind": "karpathy", "routes": [{"kind": "shards", "shards": "coco-shard"}]},
            r"datasets\.x\.routes\.0: no source 'coco-shard'; did you mean 'coco-shards'",
        ),
        (
            "datasets/x",
            {"kind": "variant", "of": "shape", "absent": 0.5},
            r"x\.of: no data set 'shape'; did you mean 'shapes'",
        ),
        (
            "datasets/x",
            {"kind": "variant", "of": "shapes-absent", "absent": 0.5},
            r"datasets\.x\.of: 'shapes-absent' is a variant itself; name its base 'shapes'",
        ),
        ("datasets/x", {"kind": "variant", "of": "x", "absent": 0.5}, r"datasets\.x\.of: 'x' is a variant itself"),
        ("datasets/x", {"kind": "variant", "of": "shapes"}, r"datasets\.x: give either `absent` "),
        (
            "datasets/shapes/held_out",
            {"val": {"of": "train"}},
            r"datasets\.shapes\.held_out\.val: the files have this split; name another one",
        ),
        (
            "bank",
            {"dataset": "log", "split": "all"},
            r"bank\.dataset: 'log' is of kind texts, without pairs of images and captions",
        ),
        (
            "tables/x",
            {"datasets": ["photos"], "posteriors": ["shapes"], "split": "all"},
            r"tables\.x\.datasets: 'photos' is of kind images, without pairs of images and captions",
        ),
        (
            "tables/x",
            {"datasets": ["photos"], "posteriors": ["shapes"]},
            r"tables\.x\.split: data set 'photos' has no split 'test'; .*all",
        ),
        (
            "encoders/shapes-0/train/dataset",
            "log",
            r"encoders\.shapes-0\.train\.dataset: 'log' is of kind texts, without pairs",
        ),
        (
            "datasets/x",
            {"kind": "variant", "of": "scenes", "absent": 0.5},
            r"datasets\.x\.of: 'scenes' has classes, whose gallery has no images; name a data set of captions",
        ),
        (
            "datasets/x",
            {"kind": "classes", "files": {"layout": "shards", "download": "dtd-shrds"}},
            r"datasets\.x\.files: no source 'dtd-shrds'; did you mean 'dtd-shards'",
        ),
        (
            "datasets/x",
            {"kind": "classes", "files": {"layout": "shards", "sorce": "a"}},
            r"files\.sorce: unknown key; did you mean 'source'",
        ),
        ("datasets/dtd/limit", {"val": 5}, r"datasets\.dtd\.limit\.val: there is no split of this name"),
        ("encoders/shapes-0/train/classes", "shapes", r"train\.classes: 'shapes' is of kind shapes; "),
        ("adapters/lite/dataset", "scenes", r"adapters\.lite\.dataset: 'scenes' has classes, not captions"),
        ("datasets/x", {"kind": "variant", "of": "shapes", "absent": 1.0}, r"absent: .*less than 1"),
        ("datasets/x", {"kind": "variant", "of": "shapes", "absent": 0}, r"absent: .*greater than 0"),
        ("datasets/x", {"kind": "variant", "of": "shapes", "absent": 0.5, "shards": 2}, r"shards: unknown key"),
        (
            "datasets/shapes/shards",
            {"image": 4, "text": 1},
            r"datasets\.shapes\.shards: is one number for images and captions, such as `shards: 4`; not one",
        ),
        ("encoders/shapes-0/train/dataset", "shapes-absent", r"dataset: 'shapes-absent' is a variant.*name 'shapes'"),
        ("adapters/lite/dataset", "flickr8k-absent", r"adapters\.lite\.dataset: 'flickr8k-absent' is a variant"),
        ("tables/shapes-absent/split", "tset", r"data set 'shapes-absent' has no split 'tset'; did you mean 'test'"),
        ("tables/shapes-absent/posteriors", ["imported"], r"'imported' cannot be used with data set 'shapes-absent'"),
        ("encoders/x", {"architecture": "ViT-B-32", "hub": "a/b", "tag": "openai"}, "`hub` cannot be combined"),
        (
            "encoders/x",
            {"architecture": "ViT-B-32"},
            "no weights; give `tag`, `hub`, .* or `finetune`",
        ),
        ("tables/table1/protocols", ["corrected"], "posterior 'l14-published' is for another protocol"),
        ("figures/figure3/rates", ["l14"], r"figures\.figure3: posterior 'l14' has no rate and no passes"),
        ("figures/figure3/passes", ["l14-pass"], r"figures\.figure3: no posterior 'l14-pass'"),
        ("figures/figure3", {"kind": "sensitivity", "dataset": "shapes"}, r"figures\.figure3: nothing to draw"),
        ("figures/imported-thinning/dataset", "shapes", r"figures\.imported-thinning: posterior 'imported' cannot be"),
        (
            "figures/imported-thinning/val",
            "vla",
            r"figures\.imported-thinning\.split: .* no split 'vla'; did you mean 'val'",
        ),
        (
            "figures/imported-thinning/posterior",
            "b32-published",
            "'b32-published' is for another protocol than corrected",
        ),
        (
            "figures/imported-thinning/estimators",
            ["max_softmx"],
            r"figures\.imported-thinning\.estimators: no estimator 'max_softmx'",
        ),
        ("datasets/shapes/shards", 0, r"shards: .*at least 1 \(given: 0\)"),
        (
            "estimators",
            ["top1_similarty"],
            r"estimators: no estimator 'top1_similarty'; did you mean 'top1_similarity'",
        ),
        (
            "posteriors/x",
            {"kind": "deterministic", "encoder": "shapes0"},
            r"posteriors\.x: no encoder 'shapes0'; did you",
        ),
        ("posteriors/x", {"kind": "mc_dropout", "encoder": "shapes-0", "rate": 1.5}, r"rate: .*less than 1"),
        ("posteriors/x", {"kind": "ensemble", "members": ["shapes-0"]}, r"members: .*a list of at least 2 values"),
        ("encoders/imported", {"architecture": "ViT-B-32", "tag": "openai"}, "is reserved for imported embeddings"),
        ("encoders/x", {"architecture": "ViT-B-32"}, r"encoders\.x: no weights"),
        (
            "encoders/shapes-0/train/dataset",
            "shapez",
            r"encoders\.shapes-0\.train\.dataset: no data set 'shapez'; did you",
        ),
        ("encoders/shapes-0/train/dataset", "flickr8k-clip", "holds embeddings, not images"),
        ("encoders/shapes-0/train/classes", "scene", r"train\.classes: no data set 'scene'; did you mean 'scenes'"),
        ("encoders/shapes-0/train/classes", "flickr8k", r"train\.classes: 'flickr8k' is of kind karpathy"),
        (
            "encoders/shapes-0/train",
            {"dataset": "shapes-classes", "classes": "scenes"},
            r"train\.dataset: 'shapes-classes' is of kind classes; `dataset` has the captions",
        ),
        ("tables/demo/datasets", ["shape"], r"tables\.demo\.datasets: no data set 'shape'; did you mean 'shapes'"),
        ("tables/demo/posteriors", ["imported"], r"posterior 'imported' cannot be used with data set 'shapes'"),
        (
            "tables/demo/split",
            "tset",
            r"tables\.demo\.split: data set 'shapes' has no split 'tset'; did you mean 'test'",
        ),
        ("tables/demo/estimators", ["margins"], r"tables\.demo\.estimators: 'margins' is not configured; did you"),
        ("tables/demo/protocols", ["correct"], r"protocols\.0: .*'published' or 'corrected'"),
        ("figures/x", {"kind": "calibration", "table": "demo1"}, r"figures\.x\.table: no table 'demo1'; did you mean"),
        (
            "figures/demo-rejection",
            {"kind": "rejection", "table": "demo", "posteriors": ["shapes-ensembl"]},
            r"rejection\.posteriors: no posterior of table 'demo' 'shapes-ensembl'; did you mean 'shapes-ensemble'",
        ),
        (
            "figures/imported-rejection/positives",
            "extended",
            r"figures\.imported-rejection\.positives: table 'imported' has only labelled",
        ),
        (
            "figures/x",
            {"kind": "cascade", "cascade": "demos"},
            r"figures\.x\.cascade: no cascade 'demos'; did you mean",
        ),
        ("adapters/lite/encoder", "lite00", r"adapters\.lite\.encoder: no encoder 'lite00'; did you mean"),
        ("adapters/lite/dataset", "flickr", r"adapters\.lite\.dataset: no data set 'flickr'; did you mean"),
        ("adapters/lite/dataset", "flickr8k-clip", r"adapters\.lite: encoder 'imported' and data sets of kind embed"),
        ("adapters/lite/epochz", 1, r"adapters\.lite\.epochz: unknown key; did you mean 'epochs'"),
        ("posteriors/lite/adapter", "light", r"posteriors\.lite\.adapter: no adapter 'light'; did you mean 'lite'"),
        ("posteriors/shapes/adapter", "lite", r"posteriors\.shapes\.adapter: 'lite' was trained on encoder 'lite0-0'"),
        ("cascades/demo/cheap", "shape", r"cascades\.demo\.cheap: no posterior 'shape'; did you mean 'shapes'"),
        ("cascades/demo/expensive", "shapes", r"cascades\.demo\.expensive: 'shapes' has one sample; name a posterior"),
        ("cascades/demo/cheap_estimator", "exact", r"cascades\.demo\.cheap_estimator: 'exact' is not configured"),
        (
            "cascades/demo/cheap_estimator",
            "adversarial_pgd",
            r"cascades\.demo\.cheap_estimator: 'adversarial_pgd' exists only under protocol 'published'; use 'adver",
        ),
        ("figures/figure1/protocol", "corrected", r"figures\.figure1\.estimators: 'adversarial_linear' exists only"),
        (
            "figures/figure3",
            {"kind": "sensitivity", "dataset": "shapes", "estimator": "adversarial_pgd"},
            r"figures\.figure3\.estimator: 'adversarial_pgd' exists only under protocol 'published'",
        ),
        (
            "tables/demo",
            {
                "datasets": ["shapes"],
                "posteriors": ["shapes"],
                "estimators": ["adversarial_pgd"],
                "protocols": ["corrected"],
            },
            r"tables\.demo\.estimators: 'adversarial_pgd' exists only under protocol 'published'",
        ),
        ("cascades/demo/val", "vall", r"cascades\.demo\.split: data set 'shapes' has no split 'vall'; did you mean"),
        (
            "transfers/x",
            {"model": {"dataset": "shape", "posterior": "shapes"}, "datasets": ["shapes"]},
            r"transfers\.x\.model\.dataset: no data set 'shape'; did you mean 'shapes'",
        ),
        (
            "transfers/x",
            {"model": {"dataset": "shapes", "posterior": "shapes-1-2"}, "datasets": ["shapes"]},
            r"transfers\.x\.model\.posterior: no posterior 'shapes-1-2'",
        ),
        (
            "transfers/x",
            {"model": {"dataset": "shapes", "posterior": "l14-published"}, "datasets": ["shapes"]},
            r"transfers\.x\.model\.posterior: 'l14-published' is for another protocol than corrected",
        ),
        (
            "transfers/x",
            {"model": {"dataset": "shapes", "split": "vall", "posterior": "shapes"}, "datasets": ["shapes"]},
            r"transfers\.x\.model\.split: data set 'shapes' has no split 'vall'; did you mean 'val'",
        ),
        (
            "transfers/x",
            {"model": {"dataset": "shapes", "posterior": "shapes"}, "datasets": ["shapes", "flickr"]},
            r"transfers\.x\.datasets: no data set 'flickr'; did you mean",
        ),
        (
            "transfers/x",
            {"model": {"dataset": "shapes", "posterior": "shapes"}, "datasets": ["shapes"], "split": "tset"},
            r"transfers\.x\.split: data set 'shapes' has no split 'tset'; did you mean 'test'",
        ),
        (
            "transfers/x",
            {"model": {"dataset": "shapes", "posterior": "shapes"}, "datasets": ["shapes"], "split": "val"},
            r"transfers\.x\.split: shapes/val has the queries that the models are fitted to; name another split",
        ),
        (
            "transfers/x",
            {"model": {"dataset": "shapes", "posterior": "shapes"}, "datasets": ["flickr8k-clip"]},
            r"transfers\.x: posterior 'shapes' cannot be used with data set 'flickr8k-clip'",
        ),
        (
            "transfers/x",
            {
                "model": {"dataset": "shapes", "posterior": "shapes"},
                "datasets": ["shapes"],
                "estimators": ["max_softmacs"],
            },
            r"transfers\.x\.estimators: no estimator 'max_softmacs'; did you mean 'max_softmax'",
        ),
        (
            "transfers/x",
            {
                "model": {"dataset": "flickr8k-clip", "posterior": "imported"},
                "datasets": ["flickr8k-clip"],
                "estimators": ["bank_nnn"],
            },
            r"transfers\.x\.estimators: 'bank_nnn' needs a bank of queries of another split than val",
        ),
        (
            "transfers/x",
            {"model": {"dataset": "shapes", "posterior": "shapes"}, "datasets": ["shapes"], "estimators": ["nqc_5"]},
            r"transfers\.x\.estimators: none of them is configured; add one of them",
        ),
        (
            "transfers/x-bins",
            {"model": {"dataset": "shapes", "posterior": "shapes"}, "datasets": ["shapes"]},
            r"transfers\.x-bins: the name of a study cannot end in -bins, -thresholds",
        ),
        (
            "figures/x",
            {"kind": "confidence", "transfer": "importd"},
            r"figures\.x\.transfer: no transfer study 'importd'; did you mean 'imported'",
        ),
        (
            "figures/x",
            {"kind": "confidence", "transfer": "imported", "estimators": ["entropy"]},
            r"figures\.x\.estimators: no estimator of the study 'entropy'",
        ),
        ("reports/x", {}, r"reports\.x: shows nothing; name tables, robustness studies or answers"),
        ("reports/x", {"tables": ["dmeo"]}, r"reports\.x\.tables: no table 'dmeo'; did you mean 'demo'"),
        ("reports/x", {"tables": ["demo", "demo"]}, r"reports\.x\.tables: 'demo' is listed more than once"),
        ("reports/x", {"robustness": ["scnes"]}, r"reports\.x\.robustness: no study 'scnes'; did you mean 'scenes'"),
        ("reports/x", {"answers": ["photos"]}, r"reports\.x\.answers: no answer 'photos'"),
        ("reports/x", {"tables": ["demo"], "queries": 2001}, r"reports\.x\.queries: .*2000"),
        ("reports/x", {"tables": ["demo"], "queries": -1}, r"reports\.x\.queries: .*0"),
        ("reports/x", {"tables": ["demo"], "query": 10}, r"reports\.x\.query: unknown key"),
        (
            "posteriors/x",
            {"kind": "ensemble", "members": ["shapes-0", "shapes-1", "shapes-0"]},
            r"^config\.yaml: posteriors\.x\.members: 'shapes-0' is listed twice; name encoders that differ, such as in "
            r"their seed$",
        ),
        (
            "tables/x",
            {"datasets": ["flickr8k"], "posteriors": ["lite"], "positives": ["extended"]},
            r"tables\.x\.positives: data set 'flickr8k' has only labelled positives; use these, or set",
        ),
        (
            "tables/x",
            {"datasets": ["mscoco"], "posteriors": ["l14"], "positives": ["extended"], "split": "val"},
            r"tables\.x\.positives: only the split test of data set 'mscoco' has extended positives",
        ),
        (
            "tables/x",
            {"datasets": ["scenes"], "posteriors": ["scenes-0"], "positives": ["extended"]},
            r"tables\.x\.positives: data set 'scenes' is of kind classes, without extended positives; use labelled",
        ),
        ("temperature/softmax", -1, r"temperature\.softmax"),
        ("temperature/softmax", "fited", r"temperature\.softmax.*'fitted'"),
        ("ranking/search", "hsnw", r"ranking\.search: .*'hnsw'"),
        ("operating/confidence", 1.5, r"operating\.confidence: .*less than 1"),
        ("targets", [], "targets: .*a list of at least 1 value"),
        ("datasets/a b", {"kind": "shapes"}, "datasets.a b"),
    ],
)
def test_mistake_is_reported_with_key_and_fix(values, path, value, message):
    values["datasets"] |= {"photos": {"kind": "images", "source": "p"}, "log": {"kind": "texts", "source": "q.csv"}}
    with pytest.raises(OvertopError, match=message):
        load_config(_set(values, path, value))


def test_all_mistakes_are_reported_at_once(values):
    wrong = _set(_set(values, "sead", 1), "evaluation/bins", 1)
    with pytest.raises(OvertopError) as error:
        load_config(wrong)
    assert len(str(error.value).splitlines()) == 2
    assert all(line.startswith("config.yaml: ") for line in str(error.value).splitlines())


def test_very_many_mistakes_are_counted(values):
    for number in range(30):
        values["tables"][f"t{number:02}"] = {"datasets": ["nothing"], "posteriors": ["imported"]}
    with pytest.raises(OvertopError) as error:
        load_config(values)
    *lines, last = str(error.value).splitlines()
    assert len(lines) == MAX_MISTAKES
    assert lines[0].startswith("config.yaml: tables.t00")
    assert last == "and 10 mistakes more"


def test_did_you_mean_names_the_closest_or_all():
    assert did_you_mean("abd", ["abc", "xyz"]) == "did you mean 'abc'?"
    assert did_you_mean("q", ["xyz", "abc"]) == "known: abc, xyz"
    assert did_you_mean("q", []) == "known: none"


def test_committed_configuration_has_no_absolute_mirror(repo):
    assert load_config(read_committed_config(repo)).mirror is None


def test_estimator_removed_from_all_is_removed_from_figures(values):
    values = _set(values, "estimators", ["top1_similarity", "top1_consistency", "adversarial_exact"])
    load_config(values)
    with pytest.raises(OvertopError, match=r"figures\.figure1\.estimators: none of them is configured"):
        load_config(_set(values, "figures/figure1/estimators", ["probvlm"]))


def test_aliases_of_aliases_are_one_line_error():
    value = ["x"]
    for _ in range(30):
        value = [value] * 10
    with pytest.raises(OvertopError, match="remove aliases of aliases") as caught:
        load_config({"targets": value})
    assert len(str(caught.value)) < 200


def test_value_in_a_message_is_shortened(values):
    values["seed"] = list(range(10_000))
    with pytest.raises(OvertopError) as caught:
        load_config(values)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "hub", ["a", "a/b/c", "a b/c", "-a/b", "a/b.", "a--b/c", "a/..", "a/b.git", "a/" + "b" * 100, "ä/b"]
)
def test_name_that_no_repository_has_is_rejected(values, hub):
    values["encoders"]["x"] = {"architecture": "ViT-B-32", "hub": hub}
    with pytest.raises(OvertopError, match=r"encoders\.x\.hub: "):
        load_config(values)
