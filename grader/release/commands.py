"""`course release`: the bundle that students get."""

from pathlib import Path

import click


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
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
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
    bundle = make_bundle(course, through, notes.read_text(encoding="utf-8") if notes else "")
    secrets = secrets_of(course, through)
    place = folder or course.build / "release" / bundle.name
    written = write_bundle(bundle, place, lambda part: refuse_leaks(part, secrets))
    megabytes = written.archive.stat().st_size / 1e6
    click.echo(f"{written.folder}: {len(bundle.files)} files; none of {len(secrets)} secret lines is in them")
    click.echo(f"{written.archive}: {megabytes:.1f} MB" + ("" if written.changed else ", as before"))
