"""`course prove`: test the tests."""

from pathlib import Path

import click


@click.command()
@click.argument("chapters", nargs=-1, metavar="[CHAPTER]...")
@click.option("--mutants", is_flag=True, help="Also change the reference answers automatically, one small slip each.")
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1), help="How often cases are drawn.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Candidates tried at one time.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Also write it all here.")
def prove(chapters: tuple[str, ...], mutants: bool, seeds: int, workers: int, json_file: Path | None) -> None:
    """Test the hidden checks of each CHAPTER (all of them by default).

    The reference answer, every alternative and the library's own function must get full marks, with several
    seeds. The untouched answer must get nothing. Every mistake must be refused with the words it promises,
    and at least one mistake of each exercise must be invisible to the visible checks.

    With --mutants the reference answers are changed automatically (a boundary, a sign, an axis, a forgotten
    line), and the hidden checks must notice every change. A change that makes no difference is explained in
    solutions/CHAPTER/mutants.toml, in a line `id = "reason"`.

    Ends with exit code 1 when anything is wrong.
    """
    import json
    from dataclasses import asdict

    from rich.console import Console
    from rich.progress import Progress

    from grader.course import find_root, load_course
    from grader.errors import CourseError
    from grader.proving.chapter import prove_chapter
    from grader.proving.table import show_proof

    course = load_course(find_root())
    console = Console()
    proofs = []
    for chapter in [course.chapter(name) for name in chapters] or course.chapters:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(chapter.id, total=None)

            def tell(done: int, count: int, task=task, progress=progress) -> None:  # type: ignore[no-untyped-def]
                progress.update(task, completed=done, total=count)

            proof = prove_chapter(course, chapter, mutants, range(1, seeds + 1), workers, tell)
        show_proof(proof, console)
        proofs.append(proof)
    if json_file is not None:
        data = [{**asdict(proof), "all_problems": proof.all_problems} for proof in proofs]
        beside = json_file.with_name(f".{json_file.name}.writing")
        beside.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        beside.replace(json_file)
    count = sum(len(proof.all_problems) for proof in proofs)
    if count:
        raise CourseError(f"{count} thing{'s are' if count > 1 else ' is'} wrong with the tests", "see ✗ above")
