"""`python -m byhand.training.recipes [NAME ...]`: make the shipped models. Built in chapter 4."""

import argparse

from byhand import checkpoints, lab
from byhand.training.recipes import follow, lengthen, recipes


def main() -> None:
    """Read the command line and follow the recipes that it names, or all of them."""
    known = recipes()
    parser = argparse.ArgumentParser(prog="python -m byhand.training.recipes", description="Make the shipped models.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all of them by default")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the updates: 4 trains four times as long")
    parser.add_argument("--steps", type=int, help="updates, in place of the recipe's")
    parser.add_argument("--device", default=None, help="cpu or cuda; by default a GPU where there is one")
    chosen = parser.parse_args()
    if strange := [name for name in chosen.names if name not in known]:
        parser.error(f"there is no recipe {', '.join(strange)}; there are: {', '.join(known)}")
    for name in chosen.names or known:
        steps = chosen.steps or max(1, round(known[name].training.steps * chosen.scale))
        path = follow(name, lengthen(known[name], steps), device=chosen.device or lab.device())
        print(name, checkpoints.read_card(name)["results"], path.stat().st_size, "bytes", sep="  ")  # noqa: T201


if __name__ == "__main__":
    main()
