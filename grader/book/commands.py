"""`course book`: the static site."""

import sys

import click


@click.command()
@click.option("--through", metavar="CHAPTER", help="Publish the chapters up to this one (default: all).")
@click.option(
    "--with-solutions",
    is_flag=True,
    help="The instructor's edition: answers are there, folded. It goes to build/book-with-solutions.",
)
def book(through: str | None, with_solutions: bool) -> None:
    """Build the static book in build/book/site and search it for leaked answers.

    Every chapter is executed with its answers in place; any cell that fails stops the build. A copy without
    answers and hidden tests, outputs kept, is all that Sphinx ever sees. Warnings are errors. The pages need
    no network: formulas are drawn while building, and every script and font is in the site. At the end each
    file is searched, packed and encoded parts included, for lines of solutions, hidden checks and library
    modules that hold answers.

    Outputs are kept in build/book/executed until the code, the library or constraints.txt change.
    """
    from grader.book.site import build_site
    from grader.course import find_root, load_course

    with_progress = sys.stderr.isatty()

    def say(words: str) -> None:
        click.echo(f"\r\x1b[K{words}" if with_progress else words, err=True, nl=not with_progress)

    site = build_site(load_course(find_root()), through, with_solutions, say)
    if with_progress:
        click.echo("\r\x1b[K", err=True, nl=False)
    click.echo(
        f"{site.folder / 'index.html'}: {site.files} files, {site.megabytes:.1f} MB; "
        f"none of {site.secrets} secret lines is in them"
    )
