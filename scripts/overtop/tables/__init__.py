"""Tables of results: long as CSV, in the paper's layout as Markdown and LaTeX."""
