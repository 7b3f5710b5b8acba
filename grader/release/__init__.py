"""What leaves the course's own machine and what comes back: bundles for students, the leak check, collecting."""
