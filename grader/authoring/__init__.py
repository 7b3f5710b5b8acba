"""From MyST sources to nbgrader's source notebook and the student notebook."""
