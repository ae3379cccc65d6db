"""One library for a run: that of the checkout whose workflow runs, whatever is installed in the environment."""

import os
from pathlib import Path

from overtop.errors import OvertopError

LIBRARY = Path(__file__).resolve().parent.parent
"""The library of this process."""


def check_checkout(scripts: Path) -> None:
    """Check that this process has imported the library of a checkout.

    Args:
        scripts: the folder `scripts` of the checkout.

    Raises:
        OvertopError: its library is that of another checkout.
    """
    if LIBRARY.parent != scripts.resolve():
        raise OvertopError(
            f"this is the library of {LIBRARY.parent.parent}, and the workflow that of {scripts.resolve().parent}; use "
            f"an environment of its own, or set PYTHONPATH={scripts.resolve()}"
        )


def share_library(scripts: Path) -> None:
    """Let the jobs of this process import the library of a checkout: PYTHONPATH precedes what is installed."""
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", str(scripts))]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(scripts), *others])
