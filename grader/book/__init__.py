"""From executed solution notebooks to a static site without answers."""
