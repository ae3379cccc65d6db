from overtop.screen.dry_run import PlannedJob, describe_dry_run


def test_dry_run_has_a_line_per_rule_with_reasons_and_some_jobs():
    missing = "Missing output files: x"
    jobs = {"embed": [PlannedJob(f"test, shapes-{number}", missing) for number in range(5)]}
    assert list(describe_dry_run({"embed": 5, "rank": 1}, jobs, 200)) == [
        "rule   jobs  why                which",
        "embed     5  output is missing  test, shapes-0; test, shapes-1; test, shapes-2 and 2 more",
        "rank      1",
        "6 jobs would run; nothing was run. --verbose lists every job with its files.",
    ]


def test_long_lines_are_cut_to_the_width_of_the_terminal():
    jobs = {"embed": [PlannedJob("name " * 30, "Missing output files: x")]}
    _, line, _ = describe_dry_run({"embed": 1}, jobs, 80)
    assert len(line) == 80
    assert line.endswith("…")
