"""Authoring, autograding and publishing of a course in notebooks, on nbgrader and Jupyter Book."""

__version__ = "0.1.0"
