# Input and params functions of the rules in retrieval.smk (the linter wants rules and functions in separate files).


def ranking_inputs(wildcards):
    """The manifest of a split and the shards of a posterior; deleted shards are made again."""
    files = posterior_on_split(wildcards)
    if Path(paths.RANKING.format(**wildcards)).exists():
        shards = [path for modality in MODALITIES for path in files[modality]]
        remake_deleted(path for path in shards if not Path(path).exists())
    return files


def remake_deleted(files):
    """Add deleted intermediate files to the jobs that must run, and with them everything downstream.

    Snakemake does not make a missing intermediate file again as long as what was made from it exists
    (https://github.com/snakemake/snakemake/issues/1978), and `--forcerun` would make the files targets even if
    the run does not need them. Hence this one use of a private attribute: rules that are forced in this DAG.
    """
    if workflow.dag is not None:  # no DAG is built for a script that is run by hand
        workflow.dag.forcefiles.update(files)


def spread_if_adapted(wildcards):
    """The predicted variances of a posterior, if it has an adapter."""
    adapter = look_up("posteriors", wildcards).adapter
    if adapter is None:
        return []
    names = dict(wildcards) | {"dataset": settings.base_of(wildcards.dataset)}
    return paths.SPREAD.format(**names)
