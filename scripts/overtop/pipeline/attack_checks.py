"""Checks of `attacks` in config.yaml: a worst case must be over other attacks."""

from collections import Counter
from collections.abc import Iterator

from overtop.config.attacks import WorstCaseAttack
from overtop.config.model import Config
from overtop.pipeline.name_checks import check_name


def check_attacks(config: Config) -> Iterator[str]:
    """One line per mistake."""
    single = [name for name, attack in config.attacks.items() if not isinstance(attack, WorstCaseAttack)]
    for name, attack in config.attacks.items():
        if not isinstance(attack, WorstCaseAttack):
            continue
        key = f"attacks.{name}.of"
        for other, times in Counter(attack.of).items():
            if isinstance(worst := config.attacks.get(other), WorstCaseAttack):
                yield f"{key}: {other!r} is a worst case itself; list its attacks: {', '.join(worst.of)}"
            else:
                yield from check_name(key, "attack", other, single)
            if times > 1:
                yield f"{key}: {other!r} is listed {times} times; remove all but one"
