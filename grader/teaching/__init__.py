"""What a teacher runs and reads: grading a class, and the reports on it."""
