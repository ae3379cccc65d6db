# Results: declared tables, figures and reports.


include: "results.inputs.smk"


rule table:
    """Write one declared table: long as CSV, in the paper's layout as Markdown and LaTeX."""
    input:
        metrics=table_files(paths.METRICS),
        recalls=table_recalls,
    output:
        csv=report(
            f"{paths.TABLE}.csv", caption="../report/table.rst", category="Tables"
        ),
        md=f"{paths.TABLE}.md",
        tex=f"{paths.TABLE}.tex",
        members=paths.MEMBERS,
        summary=paths.SUMMARY,
    log:
        log_file("table", "{table}"),
    benchmark:
        benchmark_file("table", "{table}")
    conda:
        "../../envs/overtop.yaml"
    params:
        spec=entry("tables"),
        benchmarks=table_benchmarks,
        version=VERSIONS["table"],
    script:
        "../../scripts/table.py"


rule plot:
    """Draw one declared figure for print and screen, and write its numbers as CSV."""
    input:
        unpack(figure_files),
    output:
        pdf=f"{paths.FIGURE}.pdf",
        png=report(
            f"{paths.FIGURE}.png", caption="../report/figure.rst", category="Figures"
        ),
        csv=f"{paths.FIGURE}.csv",
    log:
        log_file("plot", "{figure}"),
    benchmark:
        benchmark_file("plot", "{figure}")
    conda:
        "../../envs/overtop.yaml"
    params:
        spec=entry("figures"),
        values=figure_values,
        version=VERSIONS["plot"],
    script:
        "../../scripts/plot.py"


rule report:
    """Make the page of a declared report: one file that opens in any browser, without a network."""
    input:
        unpack(report_files),
    output:
        paths.REPORT,
    log:
        log_file("report", "{report}"),
    benchmark:
        benchmark_file("report", "{report}")
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        **request("report"),
    params:
        spec=entry("reports"),
        tables=report_tables,
        posteriors=report_posteriors,
        splits=report_splits,
        operating=report_operating,
        entries=report_entries,
        evaluation=plain(settings.evaluation),
        seed=settings.seed,
        data=data_folder,
        version=VERSIONS["report"],
    script:
        "../../scripts/report.py"
