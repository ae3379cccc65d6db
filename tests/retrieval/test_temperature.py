from overtop.retrieval.temperature import Temperatures, load_temperatures, temperatures_to_sum
from overtop.storage.json_files import write_json


def test_configured_numbers_are_used_in_both_directions():
    temperatures = load_temperatures({"softmax": 0.02, "dirichlet": 0.07}, None)
    assert temperatures == {"t2i": Temperatures(0.02, 0.07), "i2t": Temperatures(0.02, 0.07)}


def test_fitted_temperatures_are_read_from_the_fit(tmp_path):
    write_json(tmp_path / "fit.json", {"t2i": {"temperature": 0.03}, "i2t": {"temperature": 0.04}})
    temperatures = load_temperatures({"softmax": "fitted", "dirichlet": 0.07}, tmp_path / "fit.json")
    assert (temperatures["t2i"].softmax, temperatures["i2t"].softmax) == (0.03, 0.04)
    assert temperatures_to_sum(temperatures) == (0.03, 0.04, 0.07)


def test_fit_of_one_direction_gives_the_temperatures_of_that_direction(tmp_path):
    write_json(tmp_path / "fit.json", {"i2t": {"temperature": 0.04}})
    temperatures = load_temperatures({"softmax": "fitted", "dirichlet": 0.07}, tmp_path / "fit.json")
    assert temperatures == {"i2t": Temperatures(0.04, 0.07)}
    assert temperatures_to_sum(temperatures) == (0.04, 0.07)
