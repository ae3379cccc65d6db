import pytest
import torch

from overtop.training.term_balance import TermBalance


def test_means_are_those_of_the_first_steps():
    balance = TermBalance(steps=2)
    assert balance.means() == {}
    for value in (1.0, 3.0, 100.0):
        assert balance.is_complete == (value == 100.0)
        balance.add({"cross_entropy": torch.tensor(value), "kl": torch.tensor(10 * value, requires_grad=True)})
    assert balance.means() == {"cross_entropy": 2.0, "kl": 20.0}


@pytest.mark.parametrize(
    ("terms", "warned"),
    [
        ({"cross_entropy": 5.5, "kl_dirichlet": 729.0}, ["kl_dirichlet"]),
        ({"cross_entropy": 5.0, "kl_dirichlet": 100.0}, []),
        ({"cross_entropy": 1.0, "kl_reference": 30.0, "kl_clean": 2.0}, ["kl_reference"]),
        ({"squared_distance": 400.0}, []),
        ({"cross_entropy": 1.0, "kl": -1e-9}, []),
        ({"cross_entropy": 0.0, "kl": 1.0}, ["kl"]),
        ({"cross_entropy": 0.0, "kl": 0.0}, []),
        ({}, []),
    ],
)
def test_warning_names_regularisers_above_twenty_times_the_data_term(terms, warned):
    balance = TermBalance(steps=3)
    for _ in range(2):  # fewer steps than planned: a short training
        balance.add({name: torch.tensor(value) for name, value in terms.items()})
    assert [line.split()[0] for line in balance.warnings()] == warned
