from overtop.seeds import derive_seed


def test_seed_depends_on_every_part_and_on_nothing_else():
    assert derive_seed(0, "a", 1) == derive_seed(0, "a", 1)
    seeds = [derive_seed(0, "a", 1), derive_seed(1, "a", 1), derive_seed(0, "b", 1), derive_seed(0, "a", 2)]
    assert len(set(seeds)) == len(seeds)
    assert derive_seed("ab", "c") != derive_seed("a", "bc")
    assert all(0 <= seed < 2**63 for seed in seeds)
