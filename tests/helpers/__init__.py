"""What tests share: oracles, synthetic inputs, a checkout to run Snakemake in, a stand-in of the hub."""
