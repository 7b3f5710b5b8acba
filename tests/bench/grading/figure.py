"""The figure for the book: memory of a class of ten thousand over time, and how many are graded."""

from pathlib import Path
from typing import Any

COLOURS = {"coordinator": "#0b6e8f", "workers": "#b3541e", "sandboxes": "#5b4a9e"}
WORDS = {
    "coordinator": "coordinator, with Dask's scheduler",
    "workers": "workers",
    "sandboxes": "fork servers and submissions",
}


def draw_memory(found: dict[str, Any], path: Path) -> None:
    """One SVG, narrow enough for a phone."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "grading", "font.size": 9})
    samples = found["samples"]
    minutes = [sample["seconds"] / 60 for sample in samples]
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(4.2, 4.2), sharex=True, layout="constrained", height_ratios=(2, 1)
    )
    for part, colour in COLOURS.items():
        above.plot(minutes, [sample[part] for sample in samples], color=colour, linewidth=1.4, label=WORDS[part])
    above.set_ylim(0, 1.35 * max(max(sample[part] for part in COLOURS) for sample in samples))
    above.set_ylabel("memory, MB")
    above.legend(loc="upper left", fontsize=8, frameon=False)
    below.plot(minutes, [sample["done"] for sample in samples], color="#333333", linewidth=1.4)
    below.set_ylabel("graded")
    below.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    below.set_xlabel("minutes")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
