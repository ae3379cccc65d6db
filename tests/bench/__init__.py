"""What the pipeline costs, held against what it must cost. `make bench` runs every part and writes results/bench."""
