"""Testing the tests: mistakes, alternatives and mutants against the hidden checks."""
