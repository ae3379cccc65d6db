rule tabulate:
    """One declared table: long as CSV, in the paper's layout as Markdown and LaTeX."""
    input:
        unpack(table_inputs),
    output:
        csv=report(
            "results/tables/{table}.csv",
            caption="../report/table.rst",
            category="Tables",
        ),
        md="results/tables/{table}.md",
        tex="results/tables/{table}.tex",
        members="results/members/{table}.csv",
    log:
        "logs/tabulate/{table}.log",
    benchmark:
        "benchmarks/tabulate/{table}.tsv"
    conda:
        "../../envs/overtop.yaml"
    params:
        spec=table_spec,
        benchmarks=table_benchmarks,
        version=VERSIONS["tabulate"],
    script:
        "../../scripts/tabulate.py"


rule plot:
    """One declared figure, for print and screen, with its numbers beside it."""
    input:
        unpack(figure_inputs),
    output:
        pdf="results/figures/{figure}.pdf",
        png=report(
            "results/figures/{figure}.png",
            caption="../report/figure.rst",
            category="Figures",
        ),
        csv="results/figures/{figure}.csv",
    log:
        "logs/plot/{figure}.log",
    benchmark:
        "benchmarks/plot/{figure}.tsv"
    conda:
        "../../envs/overtop.yaml"
    params:
        spec=figure_spec,
        values=figure_values,
        version=VERSIONS["plot"],
    script:
        "../../scripts/plot.py"
