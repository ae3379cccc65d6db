"""Columns about single queries and images, operating points and confidence models, by name."""

from overtop.columns.column import AS_UNCERTAINTY, SIGNED, flag, number, share, text

PER_QUERY = {
    "uncertainty": number("uncertainty of the top-1; higher is less trustworthy", AS_UNCERTAINTY),
    "top1_id": text("the most similar item"),
    "hit": flag("whether the top-1 is a labelled positive"),
    "hit_extended": flag("whether the top-1 is an extended positive; empty without these"),
    "hit_eccv": flag("whether the top-1 is a positive of ECCV Caption; empty where it did not judge the query"),
    "rank": number("rank of the best labelled positive; inf if the stored ranking does not contain it", "from 1"),
    "rank_extended": number("likewise, of the best extended positive", "from 1"),
    "tied": flag("whether the two best items have exactly the same similarity"),
    "reranked_rank": number(
        "rank by the estimator's normalised similarities; empty for all but bank estimators", "1 to 10"
    ),
    "reranked_rank_extended": number("likewise, of the best extended positive", "1 to 10"),
    "query": text("the query: its name, or its text"),
    "top1": text("the most similar item of the gallery"),
    "similarity": number("cosine similarity of the query and its top-1", SIGNED),
    "p_right": share("probability that the top-1 is right; empty without a fitted model"),
    "act": flag("whether to act on the top-1: its uncertainty is below the threshold of the promised precision"),
    "warning": text("why the numbers of this query may not hold; empty if nothing is unusual"),
    "probability": text(
        "softmax over the classes that the row describes: at the model's own temperature, at a fitted one, or of the "
        "Dirichlet mean",
        "model, fitted, dirichlet",
    ),
    "temperature": number("temperature of the softmax", "similarity"),
    "confidence": share("probability of the top-1's class, or the mean of it"),
    "nll": number("negative log-probability of what is right, or the mean of it; ideal 0", "nats"),
    "brier": number("squared error of the probabilities, or the mean of it; ideal 0", "0 to 2"),
    "entropy": number("entropy of the softmax", "nats"),
}

OPERATING = {
    "form": text(
        "a threshold with guaranteed precision, or a conformal set of items", "guaranteed_precision, conformal_set"
    ),
    "threshold": number(
        "answer a query if its uncertainty is below this; -inf: nothing can be guaranteed; of a conformal set: show "
        "all items whose similarity is at most this much below the top-1",
        AS_UNCERTAINTY,
    ),
    "validation_coverage": share("share of the validation queries below the threshold"),
    "labelled_coverage": share("share of the labelled queries below the threshold"),
    "achieved": share("Recall@1 of the answered queries, or share of sets with a right item, on the evaluated split"),
    "met": flag("whether achieved is at least the target; empty if nothing is answered"),
    "mean_set_size": number("mean number of items of a conformal set", "items"),
    "median_set_size": number("median number of items of a conformal set", "items"),
    "share_censored": share("share of sets that may be larger than the stored ranking"),
    "mapping": text("from uncertainty to probability", "softmax, logistic, isotonic"),
    "fit": text("whether the mapping was fitted to labelled queries", "labelled, unlabelled"),
}
