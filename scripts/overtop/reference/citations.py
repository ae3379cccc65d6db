"""The publications that definitions and reference numbers come from, each written down once."""

from typing import NamedTuple


class Citation(NamedTuple):
    """A publication.

    Attributes:
        short: how tables and prose cite it.
        full: authors, title, venue and year.
    """

    short: str
    full: str


GOMEZ = Citation("Gomez 2025", "Gomez, Over the Top-1: Uncertainty-Aware Cross-Modal Retrieval with CLIP, 2025")
UCAT = Citation("UCAT 2025", "Calibrating Uncertainty for Zero-Shot Adversarial CLIP, arXiv 2512.12997, 2025")
UPADHYAY = Citation(
    "Upadhyay et al. 2023",
    "Upadhyay et al., ProbVLM: Probabilistic Adapter for Frozen Vision-Language Models, ICCV 2023",
)
HENDRYCKS = Citation(
    "Hendrycks and Gimpel 2017",
    "Hendrycks and Gimpel, A Baseline for Detecting Misclassified Examples, ICLR 2017",
)
SHTOK = Citation(
    "Shtok et al. 2012", "Shtok et al., Predicting Query Performance by Query-Drift Estimation, ACM TOIS 30(2), 2012"
)
ZHOU = Citation(
    "Zhou and Croft 2007", "Zhou and Croft, Query Performance Prediction in Web Search Environments, SIGIR 2007"
)
TAO = Citation(
    "Tao and Wu 2014",
    "Tao and Wu, Query Performance Prediction By Considering Score Magnitude and Variance Together, CIKM 2014",
)
LIU = Citation("Liu et al. 2020", "Liu et al., Energy-based Out-of-distribution Detection, NeurIPS 2020")
SHANNON = Citation("Shannon 1948", "Shannon, A Mathematical Theory of Communication, 1948")
BOGOLIN = Citation(
    "Bogolin et al. 2022", "Bogolin et al., Cross Modal Retrieval with Querybank Normalisation (QB-Norm), CVPR 2022"
)
CHOWDHURY = Citation(
    "Chowdhury et al. 2024",
    "Chowdhury et al., Nearest Neighbor Normalization Improves Multimodal Retrieval (NNN), EMNLP 2024",
)
MAO = Citation(
    "Mao et al. 2023",
    "Mao et al., Understanding Zero-Shot Adversarial Robustness for Large-Scale Models (TeCoA), ICLR 2023",
)
WANG = Citation(
    "Wang et al. 2024",
    "Wang et al., Pre-trained Model Guided Fine-Tuning for Zero-Shot Adversarial Robustness (PMG-AFT), CVPR 2024",
)
SCHLARMANN = Citation(
    "Schlarmann et al. 2024",
    "Schlarmann et al., Robust CLIP: Unsupervised Adversarial Fine-Tuning of Vision Embeddings for Robust Large "
    "Vision-Language Models (FARE), ICML 2024",
)
YU = Citation(
    "Yu et al. 2024",
    "Yu et al., Text-Guided Attention is All You Need for Zero-Shot Robustness in Vision-Language Models (TGA-ZSR), "
    "NeurIPS 2024",
)
AGFT = Citation("AGFT 2026", "AGFT, arXiv 2603.29410, CVPR 2026")
