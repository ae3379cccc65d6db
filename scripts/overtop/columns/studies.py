"""Columns of curves, figures and studies, by name."""

from overtop.columns.column import AS_UNCERTAINTY, SIGNED, Column, count, flag, number, share, text

CURVES = {
    "n_rejected": count("queries that are rejected, the most uncertain first"),
    "fraction_rejected": share("share of queries that are rejected"),
    "oracle_recall_at_1": share("upper bound of recall_at_1: all misses are rejected first"),
    "level": count("level of uncertainty, 0 is the lowest"),
    "low": number("lower end of the interval of `value` or of the difference"),
    "high": number("upper end of that interval"),
    "mean_uncertainty": number("mean uncertainty of the queries of the level", AS_UNCERTAINTY),
    "share": share("share of the queries that are in the level"),
    "value": number("value of the measure or statistic"),
    "value_sd": number("standard deviation of the value over the encoders of a model"),
    "bin": count("bin of the reliability diagram, from low to high probability"),
    "curve": text("part of the diagram that the row is of"),
    "p_low": share("smallest probability in the bin"),
    "p_high": share("largest probability in the bin"),
}

CASCADES = {
    "rule": text(
        "when to stop sampling: `full`, `certain`, `d=...` (error probability), `random`, or a number of samples"
    ),
    "fraction": share("share of the queries that are escalated to the expensive posterior"),
    "samples_per_query": number("mean samples of a query, the cheap answer included", "samples"),
    "change": number("aurc minus that of the cheap estimator alone; negative is better", SIGNED),
    "mean_samples": number("mean samples until the rule stops", "samples"),
    "share_saved": share("share of all samples that the rule saves"),
    **{
        f"q{q:02d}": count(f"{q} % quantile of the samples until the rule stops", "samples")
        for q in (5, 25, 50, 75, 95)
    },
    "agreement": share("share of queries with the same winner as all samples"),
    "consistency": share("mean share of the winner's votes"),
    "samples": count("number of samples", "samples"),
    "share_settled": share("share of queries that use at most `samples`"),
}

DIFFERENCES = {
    **{
        f"{side}_{name}": text(f"{name} of the {side} method")
        for side in ("first", "second")
        for name in ("posterior", "kind", "architecture", "estimator")
    },
    "difference": number("value minus that of what it is compared with"),
    "verdict": text("outcome of the comparison"),
    "shown": flag("whether p_holm is below one minus `bootstrap.level`: the difference is not explained by chance"),
    "paper_difference": number("the paper's difference; empty where it has none", "-2 to 2"),
}

ROBUSTNESS = {
    "harmonic": share("harmonic mean of the value and that of the clean view"),
    "paper_value": share("the paper's value; empty where it has none"),
    "paper_harmonic": share("the paper's harmonic mean"),
    "images": text("set of images: all, or those that are right in the clean view"),
    "clean_mean": number("mean uncertainty of the clean images", AS_UNCERTAINTY),
    "attacked_mean": number("mean uncertainty of the attacked images", AS_UNCERTAINTY),
    "clean_sd": number("standard deviation of the uncertainty of the clean images", AS_UNCERTAINTY),
    "share_raised": share("share of pairs that are more uncertain under attack"),
    "auroc_clean": share("auroc of the clean images; empty where all or none are right"),
    "auroc_attacked": share("auroc of the attacked images"),
    "auroc_difference": number("auroc_attacked minus auroc_clean", SIGNED),
    "check": text("what is checked: signs that an attack is too weak or broken"),
    "result": text("result of the check", "passed, failed, not applicable"),
    "detail": text("the numbers behind the result"),
    "epsilon": number("radius of the attack", "1/255"),
}

TRAINING = {
    "step": count("training step"),
    "epoch": count("epoch"),
    "learning_rate": number("learning rate of the step"),
    "loss": number("loss of the step: the weighted sum of its terms"),
    "val_clean": share("accuracy on the validation split after the epoch; empty within an epoch"),
    "val_robust": share("the same under the attack of the training"),
    "val_score": share("harmonic mean of the two, by which the epoch is chosen"),
    "quantity": text("loss, term or accuracy that `value` is of"),
    "chosen": flag("whether the row is of the epoch whose weights were written"),
}

RECALLS = {
    "k": count("rank up to which an item counts as found"),
    "recall": share("Recall@k of the encoder"),
    "published": share("published Recall@k; empty if there is none"),
    "difference_points": number("recall minus published", "percentage points"),
}

FIGURES = {
    "panel": text("part of the figure that the row is of"),
    "mean": number("mean uncertainty", AS_UNCERTAINTY),
    "n_draws": count("random subsets"),
    "varied": text("parameter that varies between the rows"),
    "rate": share("dropout rate"),
    "passes": count("passes of MC dropout"),
    "seed": count("number of the random draw"),
    "draw": count("number of the random subset"),
    "transductive": flag("whether the estimator looks at the other test queries"),
}

SPLITS = {
    "image_path": text("file of the image, inside `data`; empty without a file"),
    "caption": text("text of the caption"),
    "classes": Column("list of integers", "", "numbers of the classes of the image"),
    "eccv_positives": Column("list of texts", "", "images that ECCV Caption judged to match the caption"),
    "eccv_caption_judged": flag("whether ECCV Caption judged the caption as a query"),
    "eccv_image_judged": flag("whether ECCV Caption judged the image as a query"),
    "item_id": text("the item of the gallery"),
    "first": count("row of the first item with the same embedding"),
    "group": count("group of the item; items of a group do not compete"),
}
