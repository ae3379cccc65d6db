"""The vocabulary that configuration, columns and code share."""

from typing import Literal

Direction = Literal["t2i", "i2t"]
"""`t2i`: a caption ranks the images; `i2t`: an image ranks the captions."""

Modality = Literal["image", "text"]
"""What an item is: an image or a caption."""

Protocol = Literal["published", "corrected"]
"""`published`: the released code's choices, quirks included; `corrected`: ours."""

Binning = Literal["equal_width", "equal_count"]
"""How uncertainty is cut into levels."""

Positives = Literal["labelled", "extended"]
"""`labelled`: the data set's own pairs; `extended`: every item that is known to match."""

DIRECTIONS: tuple[Direction, ...] = ("t2i", "i2t")
MODALITIES: tuple[Modality, ...] = ("image", "text")
PROTOCOLS: tuple[Protocol, ...] = ("published", "corrected")
BINNINGS: tuple[Binning, ...] = ("equal_width", "equal_count")
POSITIVES: tuple[Positives, ...] = ("labelled", "extended")

Probability = Literal["model", "fitted", "dirichlet"]
"""Of a class: the softmax at the model's own temperature, at a fitted one, or at that of the Dirichlet distribution."""

PROBABILITIES: tuple[Probability, ...] = ("model", "fitted", "dirichlet")

ESTIMATORS = (
    "top1_similarity",
    "top1_consistency",
    "topk_consistency",
    "adversarial_pgd",
    "adversarial_linear",
    "adversarial_exact",
    "margin",
    "margin_topk",
    "entropy",
    "max_softmax",
    "bank_softmax",
    "bank_nnn",
    "energy",
    "dirichlet_entropy",
    "dirichlet_vacuity",
    "nqc_5",
    "nqc_50",
    "wig_5",
    "wig_50",
    "smv_5",
    "smv_50",
    "lsmv_5",
    "lsmv_50",
    "gap_5",
    "gap_50",
    "probvlm",
)
"""Names of all estimators, in the order of tables; `estimators.registry` holds their functions."""

BANK_ESTIMATORS = ("bank_softmax", "bank_nnn")
"""The estimators that need a bank, and the names of their normalisations of the similarities."""

PROBABILITY_ESTIMATORS = ("max_softmax", *BANK_ESTIMATORS)
"""Estimators whose uncertainty is one minus a probability of the top-1."""

SHOWN_ESTIMATORS = ("top1_similarity", "max_softmax", "bank_nnn")
"""Estimators that are shown where few can be: the plain similarity, the usual confidence, and that with a bank."""

AUTO = "auto"
"""Estimator of a confidence model that stands for the best of `AUTO_ESTIMATORS`."""

AUTO_ESTIMATORS = (
    "bank_nnn", "bank_softmax", "max_softmax", "entropy", "energy", "margin", "margin_topk", "top1_similarity",
)  # fmt: skip
"""Estimators that are compared for `auto`, as far as the ranking allows, the default first."""

PUBLISHED_ONLY = ("adversarial_pgd", "adversarial_linear")
"""Estimators that exist only under `published`: the paper's approximations of adversarial_exact."""

RANKING_ESTIMATORS = tuple(
    name
    for name in ESTIMATORS
    if name not in ("top1_consistency", "topk_consistency", "adversarial_exact", "probvlm", *PUBLISHED_ONLY)
)
"""Estimators that confidence models may use: under `corrected` they need a ranking and perhaps a bank, nothing else."""

OnError = Literal["fail", "skip"]
"""On an item that cannot be read: stop, or leave it out."""

MappingName = Literal["auto", "softmax", "logistic", "isotonic"]
"""Mapping from the uncertainty to the probability of a hit; `auto`: the best by cross-validation."""

Metric = Literal["cosine", "l2", "elasticsearch", "inner_product"]
"""What the scores of a search engine are; `confidence.topk_lists` defines them."""

VOTE_TOP = 5
"""Items of each sample's ranking that are kept: the released code compares the five best."""

SOFTMAX_TEMPERATURE = 0.01
"""Of entropy, max_softmax and energy by default: the temperature that CLIP was trained to."""

DIRICHLET_TEMPERATURE = 0.07
"""Of the Dirichlet estimators by default: tau' of UCAT."""

CONCENTRATION_OFFSET = 1e-6
"""Added to every concentration of a Dirichlet distribution (UCAT)."""

IMPORTED = "imported"
"""The encoder's name in the paths of embeddings that were made elsewhere."""

CLEAN = "clean"
"""The view of images that are not attacked; other views are named as the attack."""
