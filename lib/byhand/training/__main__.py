"""`python -m byhand.training`: pre-train a GPT from the command line. Built in chapter 4."""

import sys

from byhand.training.command import main

if __name__ == "__main__":
    sys.exit(main())
