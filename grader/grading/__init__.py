"""From a folder of submissions to a gradebook: prepare, execute, record, feedback, report."""
