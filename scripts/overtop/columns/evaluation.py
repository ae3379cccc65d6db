"""Columns that say what was evaluated, and measures of it, by name."""

from overtop.columns.column import SIGNED, count, flag, number, share, text

KEYS = {
    "dataset": text("data set, an entry of `datasets`"),
    "split": text("split of the data set"),
    "direction": text("t2i: a caption ranks the images; i2t: an image ranks the captions", "t2i, i2t"),
    "posterior": text("how samples of the embeddings were drawn, an entry of `posteriors` or the name of an encoder"),
    "kind": text("kind of posterior", "deterministic, mc_dropout, ensemble, imported"),
    "architecture": text("architecture of the encoders; empty for imported embeddings"),
    "members": text("encoders of the posterior, separated by commas"),
    "encoder": text("encoder, an entry of `encoders`"),
    "model": text("model of a study; one or several encoders that differ only in their seed"),
    "view": text("`clean`, or the attack on the images"),
    "attack": text("attack on the images, an entry of `attacks`"),
    "estimator": text("method that the uncertainty is computed by"),
    "protocol": text("as in the paper's released code, or with our corrections", "published, corrected"),
    "binning": text("how uncertainty is cut into levels", "equal_width, equal_count"),
    "positives": text("right answers: the data set's own pairs, or every item known to match", "labelled, extended"),
    "query_id": text("caption or image that is the query"),
    "image_id": text("the image: the query itself, or the one that its caption was written for"),
    "caption_id": text("the caption"),
    "target": share("target value: of Recall@1 of the answered queries, or of the share of sets with a right item"),
    "measure": text("name of the measure in `value`"),
    "statistic": text("name of the statistic in `value`"),
    "source": text("who judged the pairs"),
    "tag": text("open_clip's name of the weights; empty for others"),
    "benchmark": text("benchmark that published recalls are of; empty if there is none"),
}

SIZES = {
    "n": count("queries that the statistic is computed from"),
    "n_queries": count("queries that the row is about"),
    "n_absent": count("queries whose labelled positives are absent from the gallery"),
    "absent": share("share of queries whose labelled positives are absent from the gallery"),
    "n_clusters": count("images that the queries belong to; resamples draw these"),
    "n_bins": count("levels of uncertainty that are not empty"),
    "n_skipped": count("items that could not be read and were left out"),
    "n_truncated": count("captions longer than the encoder's context"),
    "n_tied": count("queries whose two best items have exactly the same similarity"),
    "n_images": count("images"),
    "n_seeds": count("encoders of the model, which differ only in their seed"),
    "n_classes": count("classes with an image"),
    "n_pairs": count("pairs of an image and an encoder"),
    "n_labelled": count("labelled queries that the model is fitted to"),
    "n_validation": count("queries of the validation split, one per image"),
    "n_needed": count(
        "validation queries that a threshold takes at least, where none can be guaranteed; inf: none suffice"
    ),
    "n_test": count("queries of the evaluated split, one per image"),
    "n_eccv_queries": count("queries that ECCV Caption judged"),
    "n_bank": count("queries of the bank"),
    "labelled_gallery": count("items in the gallery of the labelled queries"),
    "gallery": count("items in the gallery of the evaluated queries"),
    "resamples": count("bootstrap resamples"),
    "members_off": text("encoders of the posterior whose recall differs from the published one; empty if none does"),
    "members_unchecked": count("encoders of the posterior without a published recall"),
    "bank": text("bank of unlabelled queries: data set, split and size; empty for estimators that need none"),
    "bank_fingerprint": text("digest of the queries and embeddings of the bank"),
}

MEASURES = {
    "recall_at_1": share("share of queries whose top-1 is right"),
    "recall_at_5": share("share of queries with a right item among the best 5"),
    "recall_at_10": share("share of queries with a right item among the best 10"),
    "reranked_recall_at_1": share("recall_at_1 of the items in the order of the estimator's normalised similarities"),
    "reranked_recall_at_5": share("likewise, recall_at_5"),
    "reranked_recall_at_10": share("likewise, recall_at_10"),
    "eccv_recall_at_1": share("Recall@1 over the queries that ECCV Caption judged, with its positives"),
    "calibration_defined": flag("false where spearman, r2 and neg_sr2 are empty because no correlation exists"),
    "spearman": number("S: rank correlation of Recall@1 with the level of uncertainty; ideal -1", SIGNED),
    "r2": share("R²: that of a linear fit of Recall@1 on the level of uncertainty; ideal 1"),
    "neg_sr2": number("-S·R², the paper's measure of calibration; ideal 1", SIGNED),
    "rejection_auc": share("area under the rejection curve; larger is better, at most oracle_auc"),
    "oracle_auc": share("upper bound of rejection_auc: all misses are rejected first"),
    "aurc": share(
        "area under the risk-coverage curve: mean share of misses among the k most certain queries; smaller is better"
    ),
    "eaurc": share("aurc minus the smallest value that the same hits allow; smaller is better"),
    "augrc": share("area under the generalised risk-coverage curve; smaller is better"),
    "auroc": share("probability that a miss is more uncertain than a hit; 0.5: uninformative, ideal 1"),
    "aupr": share("average precision of finding misses by high uncertainty; ideal 1"),
    "coverage": share(
        "largest share of queries that can be answered, most certain first, with Recall@1 of at least "
        "`evaluation.precision`"
    ),
    "tau_b": number("Kendall's tau_b between certainty and the reciprocal rank of the best positive", SIGNED),
    "smare": share("scaled mean absolute rank error of certainty and reciprocal rank; smaller is better"),
    "aurc_diff": number("aurc minus that of the reference estimator; negative is better", SIGNED),
    "rejection_auc_diff": number("rejection_auc minus that of the reference estimator; positive is better", SIGNED),
    "p_value": share("p-value of the test that the difference is zero"),
    "p_holm": share("the same after Holm's adjustment for all tests of its family"),
    "paper_spearman": number("the paper's spearman; empty where it has no number", SIGNED),
    "paper_r2": share("the paper's r2"),
    "paper_neg_sr2": number("the paper's -S·R²", SIGNED),
    "diff_neg_sr2": number("neg_sr2 minus paper_neg_sr2", "-2 to 2"),
    "accuracy": share("share of right top-1"),
    "ece": share(
        "expected calibration error in 15 bins of equal count; ideal 0, but biased upwards: see ece_calibrated"
    ),
    "ece_width": share("expected calibration error in 15 bins of equal width of the confidence; ideal 0"),
    "ece_mass": share("expected calibration error in 15 bins of equal count; ideal 0"),
    "ece_calibrated": share(
        "mean expected calibration error of a perfectly calibrated model with the same confidences"
    ),
    "overconfidence": number("p_right minus accuracy; ideal 0", SIGNED),
    "drift": share("Kolmogorov-Smirnov distance of the top-1's similarities from those of the labelled queries"),
    "drift_p_value": share("p-value of drift"),
    "unlike_labelled": flag(
        "whether drift is at least 0.1 with a p-value below 0.001: the queries are of another kind"
    ),
}
