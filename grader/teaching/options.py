"""Options that several commands share."""

from pathlib import Path

import click

CLASS_OPTION = click.option(
    "--class",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("class"),
    show_default=True,
    help="The class folder; submissions lie in its submitted/STUDENT/CHAPTER/.",
)
DB_OPTION = click.option(
    "--db",
    "db_url",
    metavar="URL",
    help="The gradebook as a SQLAlchemy URL. Default: the one used before, at first gradebook.db in the class folder.",
)
