"""The benchmark of the pipeline's speed and memory: `make bench` measures all parts and writes results/bench."""
