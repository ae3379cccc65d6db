"""The logger plugin, as Snakemake loads it."""

import logging
import subprocess
import sys

import pytest
import yaml
from snakemake.settings.enums import Quietness
from snakemake.settings.types import OutputSettings
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

from overtop.screen.closing import INTERRUPTED


@pytest.fixture
def plugin():
    registry = LoggerPluginRegistry()
    if not registry.is_installed("overtop"):
        registry.collect_plugins()
    return registry.get_plugin("overtop")


def test_default_profile_selects_the_plugin(repo, plugin):
    profile = yaml.safe_load((repo / "workflow/profiles/default/config.yaml").read_text())
    assert plugin.name == profile["logger"]


@pytest.mark.parametrize(
    ("settings", "shows"),
    [
        ({}, "everything"),
        ({"verbose": True}, "results"),
        ({"debug_dag": True}, "results"),
        ({"quiet": {Quietness.ALL}}, "errors and results"),
    ],
)
def test_options_of_the_command_line_choose_what_is_shown(plugin, monkeypatch, settings, shows):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    handler = plugin.log_handler(OutputSettings(**settings), None)
    assert handler.screen._shows == shows
    handler.close()


def test_screen_of_another_version_leaves_snakemakes_text_and_one_line(plugin, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "overtop.screen.opening", None)
    handler = plugin.log_handler(OutputSettings(), None)
    handler.handle(logging.LogRecord("snakemake", logging.INFO, "", 0, "Building DAG of jobs...", None, None))
    handler.close()
    assert not hasattr(handler, "screen")
    message, text = capsys.readouterr().err.splitlines()
    assert message.startswith("overtop: the screen cannot be opened (")
    assert "Building DAG of jobs..." in text


def test_plugin_is_imported_without_the_screen():
    code = "import sys, snakemake_logger_plugin_overtop; print({'rich', 'pandas', 'overtop'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_interruption_outside_of_jobs_is_one_line(tmp_path):
    code = (
        "from snakemake.settings.types import OutputSettings\n"
        "from snakemake_logger_plugin_overtop import LogHandler\n"
        "handler = LogHandler(OutputSettings(), None)\n"
        "raise {}"
    )
    command = [sys.executable, "-c"]
    stopped = subprocess.run([*command, code.format("KeyboardInterrupt")], capture_output=True, text=True, check=False)
    assert stopped.returncode != 0
    assert stopped.stderr == f"{INTERRUPTED}\n"
    failed = subprocess.run([*command, code.format("ValueError('bug')")], capture_output=True, text=True, check=False)
    assert "ValueError: bug" in failed.stderr
