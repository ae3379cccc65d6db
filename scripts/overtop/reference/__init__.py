"""Figures that others published, to hold ours against. All of them speak of the benchmarks' test splits.

- `table1.csv`, `table2.csv`: Tables 1 and 2 of Gomez, Over the Top-1: Uncertainty-Aware Cross-Modal Retrieval with
  CLIP, 2025, as printed. Table 1 names no architecture; Sec. 4.2 says that all of it is ViT-L/14. The row of ProbVLM
  (posterior `adapter`), which the paper includes for reference, is left without one. Its S on Flickr30k, text to image,
  is printed as 0.70 beside a -S.R2 of 0.35: one of the two has the wrong sign. We repeat what is printed.
- `recalls.csv`: R@1, R@5 and R@10 of open_clip's models, from `docs/openclip_retrieval_results.csv` of the repository
  mlfoundations/open_clip, which measures them with CLIP_benchmark. `dfn2b_s39b` is not among them.
"""

from overtop.reference.architecture import joined
from overtop.reference.paper import PAPER, PaperTable, PaperValue, Reference, paper_table
from overtop.reference.recalls import RECALL_COLUMNS, TOLERANCE, published_recall

SPLIT = "test"
"""The split that all of these figures are about."""

__all__ = [
    "PAPER",
    "RECALL_COLUMNS",
    "SPLIT",
    "TOLERANCE",
    "PaperTable",
    "PaperValue",
    "Reference",
    "joined",
    "paper_table",
    "published_recall",
]
