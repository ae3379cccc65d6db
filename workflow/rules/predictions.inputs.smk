# Input functions of the rules in predictions.smk (the linter wants rules and functions in separate files).


def fit_if_declared(wildcards):
    """The temperature fitted for a posterior on the validation split of its fine-tuning, if there is one."""
    look_up("posteriors", wildcards)
    fit = find_fit(settings, wildcards.posterior)
    return [] if fit is None else paths.TEMPERATURES.format(**fit._asdict())
