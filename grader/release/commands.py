"""`course release`: the bundle that students get; `course leaks`: what must not be in anything they get."""

import sys
from pathlib import Path

import click

from grader.teaching.options import CLASS_OPTION


@click.command()
@click.option("--through", required=True, metavar="CHAPTER", help="The last chapter that students get.")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where the bundle goes; the zip goes beside it. Default: build/release/SLUG-CHAPTER.",
)
@click.option(
    "--notes",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Markdown about this class for the README: deadlines, where to hand in, where to ask.",
)
def release(through: str, folder: Path | None, notes: Path | None) -> None:
    """Make the bundle that students get: a folder and a zip.

    It holds the student notebooks of the chapters up to CHAPTER, the library without the modules of CHAPTER and
    later ones, pinned requirements, a README and a manifest with the hash of every file. The sandbox gives a
    submission of CHAPTER the same modules. The same sources give the same bytes.

    The library's modules of *earlier* chapters are in the bundle, because CHAPTER builds on them, and they answer
    the exercises of those chapters. So release CHAPTER when the deadline of the chapter before it has passed.

    The finished bundle is searched for answers, hidden checks and later modules; if one is found, nothing is left
    behind and the exit code is 1. A stale notebook in chapters/ is refused as well. An earlier bundle at the same
    place is replaced, unless somebody changed something in it.
    """
    from grader.book.leak import refuse_leaks
    from grader.book.secrets import secrets_of
    from grader.course import find_root, load_course
    from grader.release.bundle import make_bundle
    from grader.release.writing import write_bundle

    course = load_course(find_root())
    bundle = make_bundle(course, through, _read_notes(notes) if notes else "")
    secrets = secrets_of(course, through)
    place = folder or course.build / "release" / bundle.name
    written = write_bundle(bundle, place, lambda part: refuse_leaks(part, secrets))
    megabytes = written.archive.stat().st_size / 1e6
    click.echo(f"{written.folder}: {len(bundle.files)} files; none of {len(secrets)} secret lines is in them")
    click.echo(f"{written.archive}: {megabytes:.1f} MB" + ("" if written.changed else ", as before"))


def _read_notes(path: Path) -> str:
    from grader.errors import UsageError

    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        way_out = "write there, in Markdown, when and where to hand in; or leave out --notes"
        raise UsageError(f"the notes {path} cannot be read: {error.strerror}", way_out) from None
    except UnicodeDecodeError:
        raise UsageError(f"the notes {path} are not in UTF-8", "save the file as UTF-8") from None


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option("--through", metavar="CHAPTER", help="The last chapter that readers have (default: a bundle says so).")
@CLASS_OPTION
def leaks(paths: tuple[Path, ...], through: str | None, folder: Path) -> None:
    """Search bundles, class folders and sites for what must stay hidden.

    Each PATH is the folder or zip of a bundle, a class folder (its feedback/, autograded/, release/ and exchange/
    are searched), a built site, or any file or folder that is about to be published. Without a PATH: everything in
    build/ that students or readers get, and the class.

    Looked for are the lines of solutions, hidden checks, mistakes and alternatives, the library's modules that hold
    answers, and the secret of the class; also in notebooks, pictures, compressed and base64 parts and zips within
    zips. A line that is public elsewhere is no secret, and neither is, in a student's feedback, a line that this
    student handed in.

    For every leak the file, the line and the place of the secret are printed, never the secret, and the exit code
    is 1.
    """
    from grader.book.leak import LeakError, in_words
    from grader.course import find_root, load_course
    from grader.release.products import REMEDIES, class_secrets, product_at, products_of, search

    course = load_course(find_root())
    products = [product_at(path, through) for path in paths] or products_of(course, folder)
    classrooms = {folder, *(product.path for product in products if product.kind == "class")}
    also = tuple(secret for classroom in sorted(classrooms) for secret in class_secrets(classroom))
    words, remedies = [], []
    for product in products:
        found = search(course, product, also, _announce)
        if found.leaks:
            words.append(f"{product.path} ({product.kind}): {in_words(found.leaks, found.files)}")
            remedies.append(REMEDIES[product.kind])
        else:
            click.echo(
                f"{product.path} ({product.kind}): {found.files} files; none of {found.secrets} secret lines is in them"
            )
    if words:
        raise LeakError("\n".join(words), "; ".join(dict.fromkeys(remedies)))


def _announce(done: int, total: int) -> None:
    """A class of ten thousand takes a while: a line that counts, where somebody looks."""
    if sys.stderr.isatty() and (done % 20 == 0 or done == total):
        click.echo(f"\r\x1b[Ksearched {done} of {total} folders", err=True, nl=done == total)
