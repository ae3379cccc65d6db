"""`make stages`: record the version and digest of every stage."""

import json
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS.parent / "scripts"))

from test_stages import RECORD, state  # noqa: E402

if __name__ == "__main__":
    (TESTS / RECORD).write_text(json.dumps(state(TESTS.parent / "scripts"), indent=2, sort_keys=True) + "\n")
