"""Running a submission: in a sandbox, on workers, with nothing but bytes coming back."""
