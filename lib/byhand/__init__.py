"""The parts of pretrained language models, written by hand.

Each module belongs to the chapter that builds it (course.toml); later chapters import earlier ones.
Nothing is imported here, so that a student's copy without the later modules works unchanged.
"""

import logging
import os

# OpenMP reads this once, when torch loads: threads that wait shall sleep. Spinning ones, two of them on a
# busy two-core machine, can make a step many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# torchao, where it is installed, accompanies every import of transformers with warnings about itself.
for _name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_name).setLevel(logging.ERROR)

__version__ = "0.1.0"
