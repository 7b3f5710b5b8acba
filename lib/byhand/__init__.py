"""The parts of pretrained language models, written by hand.

Each module belongs to the chapter that builds it (course.toml); later chapters import earlier ones.
Nothing is imported here, so that a student's copy without the later modules works unchanged.
"""

__version__ = "0.1.0"
