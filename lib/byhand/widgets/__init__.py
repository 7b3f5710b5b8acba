"""Figures that a reader can work: by keyboard, read aloud, without a server, and readable without script.

- `byhand.widgets.widget`: what every figure is, and how it gets into a page.
- `byhand.widgets.parts`: attention, merges and updates, taken apart.
- `byhand.widgets.writing`: how a model writes: sampling, beams, guesses.
- `byhand.widgets.cache`: keys and values that are kept, call by call.
- `byhand.widgets.formats`: weights and gradients in few bits.
- `byhand.widgets.points`: clusters in a plane, losses and their law.

Each figure is one ES module in anywidget's form beside these files, drawn from numbers that the page's own cells
computed. Leaves out plots (matplotlib draws them) and anything that asks the kernel while it is used.
Belongs to no chapter.
"""

from byhand.widgets.cache import cache_steps
from byhand.widgets.formats import loss_scaling, quantization_grid
from byhand.widgets.parts import attention_map, merge_steps, rank_slider
from byhand.widgets.points import cluster_map, scaling_fit
from byhand.widgets.widget import Widget
from byhand.widgets.writing import beam_tree, sampling, speculative_steps

__all__ = [
    "Widget",
    "attention_map",
    "beam_tree",
    "cache_steps",
    "cluster_map",
    "loss_scaling",
    "merge_steps",
    "quantization_grid",
    "rank_slider",
    "sampling",
    "scaling_fit",
    "speculative_steps",
]
