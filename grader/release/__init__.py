"""What leaves the course for students: the bundle of notebooks and library, and the search for leaks in it."""
