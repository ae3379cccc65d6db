"""Plain words for jobs and durations."""

from collections.abc import Mapping

PARTS = (("shard", "shards"), ("slice", "slices"))
"""Wildcards that number the jobs of one file set, and those of their total."""


def describe_job(rule: str, wildcards: Mapping[str, str]) -> str:
    """A job in one line, such as "embed shapes/test, shapes-0, dropout-0.2x20, part 1 of 2".

    Args:
        rule: its rule.
        wildcards: by name, in the order of the path of its output.
    """
    names = dict(wildcards)
    parts = []
    for number, total in PARTS:
        if number in names:
            parts.append((int(names.pop(number)), int(names.pop(total))))
    split = "/".join(names.pop(name) for name in ("dataset", "split") if name in names)
    words = [word for word in (split, *names.values()) if word]
    words += [f"part {number + 1} of {total}" for number, total in parts if total > 1]
    return f"{rule} {', '.join(words)}".rstrip()


def describe_seconds(seconds: float) -> str:
    """A duration, such as "8.1 s", "2 min 5 s" or "3 h 20 min"."""
    if seconds < 10:
        return f"{round(seconds, 1):g} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
