"""`course book`: the static site."""

import os
import shutil
import sys

import click

MOST_JOBS = 4
"""Chapters at one time, by default, however many processors there are: each takes gigabytes of memory."""


@click.command()
@click.option("--through", metavar="CHAPTER", help="Publish the chapters up to this one (default: all).")
@click.option(
    "--with-solutions",
    is_flag=True,
    help="The instructor's edition: answers are there, folded. It goes to build/book-with-solutions.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Chapters that are executed at one time (default: one a processor, at most {MOST_JOBS}).",
)
@click.option("--zip", "with_zip", is_flag=True, help="Make a zip of the site, which opens without a server, too.")
@click.option("--pdf", "with_pdf", is_flag=True, help="Print a PDF of each chapter, too; needs Chromium.")
@click.option("--epub", "with_epub", is_flag=True, help="Make an EPUB, too.")
def book(
    through: str | None, with_solutions: bool, jobs: int | None, with_zip: bool, with_pdf: bool, with_epub: bool
) -> None:
    """Build the static book in build/book/site and search it for leaked answers.

    Every chapter is executed with its answers in place; any cell that fails stops the build. A copy without
    answers and hidden tests, outputs kept, is all that Sphinx ever sees. Warnings are errors. The pages need
    no network: formulas are drawn while building, and every script and font is in the site. At the end each
    file is searched, packed and encoded parts included, for lines of solutions, hidden checks and library
    modules that hold answers.

    Outputs are kept in build/book/executed until the code, the library or constraints.txt change. A chapter that
    fails stops no other one: all failures are told at the end. Each chapter takes one processor and up to its
    memory_mb of memory.

    With --zip, --pdf and --epub there is something to take along in the site's downloads/, linked from the front
    page and, a PDF, from its chapter. All of it is searched like the pages.
    """
    from grader.book.site import build_site
    from grader.course import find_root, load_course

    with_progress = sys.stderr.isatty()

    def say(words: str, passing: bool) -> None:
        if with_progress:
            click.echo(f"\r\x1b[K{words[: shutil.get_terminal_size().columns - 1]}", err=True, nl=not passing)
        elif not passing:
            click.echo(words, err=True)

    formats = [kind for kind, wanted in (("zip", with_zip), ("epub", with_epub), ("pdf", with_pdf)) if wanted]
    try:
        site = build_site(load_course(find_root()), through, with_solutions, say, jobs or default_jobs(), formats)
    finally:
        if with_progress:
            click.echo("\r\x1b[K", err=True, nl=False)
    click.echo(
        f"{site.folder / 'index.html'}: {site.files} files, {site.megabytes:.1f} MB; "
        f"none of {site.secrets} secret lines is in them"
    )


def default_jobs() -> int:
    """The processors that this process may use, at most `MOST_JOBS`."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(processors, MOST_JOBS)
