"""A small class made from a chapter itself, graded, and held against what each submission deserves."""
