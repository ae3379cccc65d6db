import inspect
import re

from helpers import oracles


def test_oracles_name_existing_modules(repo):
    modules = re.findall(r"`(\w+\.\w+)`", inspect.getsource(oracles))
    assert len(modules) >= 10
    library = repo / "scripts" / "overtop"
    assert [name for name in modules if not library.joinpath(*name.split(".")).with_suffix(".py").is_file()] == []
