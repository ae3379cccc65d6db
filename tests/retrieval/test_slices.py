import numpy as np
import pytest

from overtop.errors import OvertopError
from overtop.retrieval.accumulator import RankingContents
from overtop.retrieval.exact import prepare_pass
from overtop.retrieval.normalisation import Normalisation
from overtop.retrieval.ranking import write_ranking
from overtop.retrieval.slices import read_slices, slice_chunks, write_slice
from overtop.storage.shards import ArraySource

TEMPERATURES = (0.01, 0.07)
PROVENANCE = {"encoders": ["tiny"]}


def make_pass(images, texts, directions=("t2i", "i2t"), **options):
    """A pass over embeddings (S, n, D) in chunks of at most 7 images, with groups of captions and one normalisation."""
    rng = np.random.default_rng(7)
    sizes = {"t2i": len(images[0]), "i2t": len(texts[0])}
    options = {"chunk": 7, "block": 5, "device": "cpu"} | options
    return prepare_pass(
        ArraySource(list(images)),
        ArraySource(list(texts)),
        RankingContents(6, 5, TEMPERATURES),
        groups={"i2t": np.arange(sizes["i2t"]) // 3},
        normalisations={
            direction: Normalisation(0.02, {"bank_nnn": (0.1 * rng.normal(size=size)).astype(np.float32)})
            for direction, size in sizes.items()
        },
        directions=directions,
        **options,
    )


def random_embeddings(rng, samples, items, dim=6):
    return rng.normal(size=(samples, items, dim)).astype(np.float32)


def with_duplicates(rng, samples, items):
    """Random embeddings of which a third are copies of others, anywhere."""
    embeddings = random_embeddings(rng, samples, items)
    rows = rng.permutation(items)
    count = items // 3
    embeddings[:, rows[:count]] = embeddings[:, rows[count : 2 * count]]
    return embeddings


def on_grid(rng, samples, items):
    """Embeddings whose similarities are exact and often equal."""
    return np.sign(random_embeddings(rng, samples, items, 4))


def one_for_all(_, samples, items):
    return np.ones((samples, items, 4), np.float32)


def merged_bytes(folder, ranking_pass, slices):
    """The bytes of the ranking that is merged from slices."""
    paths = [folder / f"slice-{number}of{slices}.h5" for number in range(slices)]
    for number in reversed(range(slices)):  # any order
        write_slice(paths[number], [ranking_pass], number, slices, PROVENANCE)
    merged = ranking_pass.merge(read_slices(paths, ranking_pass, PROVENANCE))
    write_ranking(folder / "merged.h5", merged, PROVENANCE)
    return (folder / "merged.h5").read_bytes()


def single_bytes(folder, ranking_pass):
    """The bytes of the ranking by the single pass."""
    write_ranking(folder / "single.h5", ranking_pass.rank(), PROVENANCE)
    return (folder / "single.h5").read_bytes()


@pytest.mark.parametrize("slices", [2, 9])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("make", [random_embeddings, with_duplicates, on_grid, one_for_all])
def test_merged_slices_are_the_single_pass_byte_for_byte(tmp_path, make, samples, slices):
    rng = np.random.default_rng(slices)
    ranking_pass = make_pass(make(rng, samples, 31), make(rng, samples, 93))
    assert merged_bytes(tmp_path, ranking_pass, slices) == single_bytes(tmp_path, ranking_pass)


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
@pytest.mark.parametrize("samples", [1, 2])
def test_merged_slices_of_one_direction_are_the_single_pass_byte_for_byte(tmp_path, samples, direction):
    rng = np.random.default_rng(3)
    ranking_pass = make_pass(with_duplicates(rng, samples, 40), with_duplicates(rng, samples, 21), [direction])
    assert merged_bytes(tmp_path, ranking_pass, 4) == single_bytes(tmp_path, ranking_pass)


def test_merged_slices_of_one_item_are_the_single_pass_byte_for_byte(tmp_path):
    rng = np.random.default_rng(4)
    ranking_pass = make_pass(with_duplicates(rng, 2, 12), with_duplicates(rng, 2, 30), chunk=1)
    count = len(ranking_pass.chunks)
    assert [part.stop - part.start for part in ranking_pass.chunks] == [1] * count
    assert merged_bytes(tmp_path, ranking_pass, count) == single_bytes(tmp_path, ranking_pass)


@pytest.mark.parametrize("make", [random_embeddings, with_duplicates, on_grid, one_for_all])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("chunk", [1, 4, 11])
def test_chunks_change_a_ranking_by_rounding_alone(make, samples, chunk):
    rng = np.random.default_rng(5)
    images, texts = make(rng, samples, 31), make(rng, samples, 93)
    expected = make_pass(images, texts, chunk=1000).rank()
    for direction, ranking in make_pass(images, texts, chunk=chunk).rank().items():
        whole = expected[direction]
        for name in ("log_partition", "mean_gap", "group_log_partition", "group_entropy", "rival_scores", "top_scores"):
            np.testing.assert_allclose(getattr(ranking, name), getattr(whole, name), rtol=1e-4, atol=1e-6, err_msg=name)
        found, wanted = ranking.normalised["bank_nnn"], whole.normalised["bank_nnn"]
        np.testing.assert_allclose(found.neg_log_probability, wanted.neg_log_probability, rtol=1e-4, atol=1e-6)
        if make is not random_embeddings:
            continue
        for name in ("top_ids", "sample_top", "rival_ids"):
            np.testing.assert_array_equal(getattr(ranking, name), getattr(whole, name))
        np.testing.assert_array_equal(found.top_ids, wanted.top_ids)


@pytest.mark.parametrize(("chunks", "slices"), [(0, 2), (1, 3), (7, 3), (9, 9), (4, 1)])
def test_slices_cover_all_chunks_once_in_order(chunks, slices):
    numbers = [chunk for number in range(slices) for chunk in slice_chunks(chunks, number, slices)]
    assert numbers == list(range(chunks))


def test_slices_of_another_number_or_ranking_are_an_error(tmp_path):
    rng = np.random.default_rng(6)
    ranking_pass = make_pass(random_embeddings(rng, 1, 20), random_embeddings(rng, 1, 30))
    paths = [tmp_path / f"{number}.h5" for number in range(2)]
    for number, path in enumerate(paths):
        write_slice(path, [ranking_pass], number, 2, PROVENANCE)
    for wrong, provenance, slot in (
        (paths[::-1], PROVENANCE, 0),
        (paths[:1], PROVENANCE, 0),
        ([paths[0], paths[0]], PROVENANCE, 1),
        (paths, {"encoders": ["other"]}, 0),
    ):
        with pytest.raises(OvertopError, match=rf"^{wrong[slot]}: is not slice {slot} of {len(wrong)} of this ranking"):
            ranking_pass.merge(read_slices(wrong, ranking_pass, provenance))
