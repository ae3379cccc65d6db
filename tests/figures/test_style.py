import os
import subprocess
import sys

import matplotlib as mpl
from matplotlib.figure import Figure

from helpers.synthetic_curves import first_methods, simulate_run
from overtop.figures.calibration import calibration_figure
from overtop.figures.style import figure_style, save_figure


def test_figure_style_restores_previous_settings():
    before = dict(mpl.rcParams)
    with figure_style():
        assert mpl.rcParams["pdf.fonttype"] == 42
    assert dict(mpl.rcParams) == before


def test_equal_figures_are_saved_as_equal_bytes_and_nothing_else(tmp_path):
    curves, _, metrics = simulate_run(directions=("t2i",), methods=first_methods(3), queries=(200,))
    for run in "ab":
        save_figure(calibration_figure(curves, metrics), tmp_path / run / "f.pdf", tmp_path / run / "f.png")
    for name in ("f.pdf", "f.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["f.pdf", "f.png"]


def test_saved_files_have_no_date_and_true_type_fonts(tmp_path):
    figure = Figure(figsize=(1, 1))
    figure.text(0.1, 0.5, "word")
    save_figure(figure, tmp_path / "f.pdf", tmp_path / "f.png")
    pdf = (tmp_path / "f.pdf").read_bytes()
    assert b"CreationDate" not in pdf
    assert b"CIDFontType2" in pdf
    assert b"Type3" not in pdf
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


def test_figures_need_no_display_and_do_not_load_torch(tmp_path):
    code = (
        "import sys, overtop.figures.draw, overtop.tables.markdown; from overtop.figures.style import *; "
        "import seaborn; figure = new_figure(1, 1); seaborn.lineplot(x=[0, 1], y=[0, 1], ax=figure.subplots()); "
        f"save_figure(figure, {str(tmp_path / 'f.pdf')!r}, {str(tmp_path / 'f.png')!r}); "
        "print('torch' in sys.modules)"
    )
    display = {"PYTHONPATH": os.pathsep.join(sys.path), "MPLBACKEND": "tkagg", "DISPLAY": ""}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | display)
    assert result.stdout.strip() == "False"
