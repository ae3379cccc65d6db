"""What the Snakefile and the rule scripts share: loading and checking config.yaml, paths, stages, jobs."""
