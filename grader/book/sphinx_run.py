"""The one place that starts Sphinx: `python -m grader.book.sphinx_run SOURCE OUTPUT DOCTREES [BUILDER]`.

A process of its own, because Sphinx patches docutils for the whole process it runs in.
"""

import sys
from pathlib import Path


def main() -> int:
    """Build with warnings as errors and every reference checked; all warnings are shown."""
    from jupyter_book.sphinx import build_sphinx

    source, output, doctrees = (Path(argument) for argument in sys.argv[1:4])
    builder = sys.argv[4] if len(sys.argv) > 4 else "html"
    status = build_sphinx(
        source,
        output,
        noconfig=True,
        path_config=source / "_config.yml",
        confoverrides={
            "external_toc_path": str(source / "_toc.yml"),
            "latex_individualpages": False,
            "nitpicky": True,
        },
        doctreedir=doctrees,
        builder=builder,
        warningiserror=True,
        keep_going=True,
    )
    return status if isinstance(status, int) else 1


if __name__ == "__main__":
    sys.exit(main())
