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
WORKERS_OPTION = click.option(
    "--workers",
    type=click.IntRange(1),
    help="Submissions run at one time on this machine. Default: the number of processors.",
)
SCHEDULER_OPTION = click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Run submissions on the Dask cluster with this scheduler, such as tcp://host:8786, instead of this machine.",
)
SANDBOX_OPTION = click.option(
    "--no-sandbox",
    is_flag=True,
    help="Run submissions without bubblewrap. "
    "They can then read and change all that you can: for code that you trust only.",
)
