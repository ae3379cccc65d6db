"""Every submitted rule asks for memory and run time, and for more with every attempt."""

import re

from overtop.pipeline.needs import NEEDS, request


def test_request_grows_with_the_attempt():
    asked = request("adapt")
    for name in ("mem_mb", "runtime"):
        first = getattr(NEEDS["adapt"], name)
        assert [asked[name](None, attempt) for attempt in (1, 2, 3)] == [first, 2 * first, 3 * first]


def test_every_submitted_rule_has_its_own_need(repo):
    local = re.search(r"^localrules:\n(.*?)\n\n", (repo / "workflow/Snakefile").read_text(), re.M | re.S)[1]
    sources = [path.read_text() for path in sorted((repo / "workflow/rules").glob("*.smk"))]
    rules = {
        name: body
        for source in sources
        for name, body in re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", source, re.M | re.S)
    }
    submitted = set(rules) - set(re.findall(r"\w+", local))
    assert submitted == set(NEEDS)
    for name in submitted:
        assert f'**request("{name}")' in rules[name]
        assert not re.search(r"mem_mb=|runtime=", rules[name])


def test_gpu_rules_of_the_profile_are_those_that_ask_for_one(repo):
    rules = "\n".join(path.read_text() for path in sorted((repo / "workflow/rules").glob("*.smk")))
    asking = {
        name for name, body in re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", rules, re.M | re.S) if " gpu=" in body
    }
    profile = (repo / "workflow/profiles/slurm/config.yaml").read_text()
    assert asking == set(re.findall(r"^  (\w+): [&*]on_gpu", profile, re.M))
