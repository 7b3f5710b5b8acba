"""Lighthouse's four numbers for pages of the finished site, as a phone on a slow network sees them.

`make lighthouse`, or `make lighthouse PAGE=all` for every chapter. Needs npm, and `course book` before; not part of the
suite, because the numbers depend on how busy the machine is: the best of three runs is printed.
"""

import gzip
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path

from tests.browser.conftest import CHROMIUM, FLAGS, QuietHandler

SITE = Path("build/book/site")
PAGE = "chapters/01-lm-basics/lm-basics.html"
RUNS = 3
GOALS = {"performance": 94, "accessibility": 100, "best-practices": 100, "seo": 100}


class PackingHandler(QuietHandler):
    """Serves text packed by gzip, as every web server does."""

    def send_head(self):
        """The file, packed where a packed one lies beside it."""
        packed = Path(f"{self.translate_path(self.path)}.gz")
        if not packed.is_file():
            return super().send_head()
        data = packed.open("rb")
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(packed.with_suffix(""))))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(packed.stat().st_size))
        self.end_headers()
        return data


def main(*pages: str) -> int:
    """Print each category's number for each page; exit code 1 where one is below its goal."""
    command = os.environ.get("LIGHTHOUSE", "npx --yes lighthouse@12").split()
    if shutil.which(command[0]) is None:
        sys.exit("lighthouse comes from npm, which is not on PATH: `apt-get install npm`, or set LIGHTHOUSE")
    if not (SITE / PAGE).is_file():
        sys.exit(f"{SITE} has no chapters: `course book` first")
    if pages == ("all",):
        pages = tuple(path.relative_to(SITE).as_posix() for path in sorted(SITE.glob("chapters/*/*.html")))
    good = True
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        shutil.copytree(SITE, site, ignore=shutil.ignore_patterns("downloads"))
        for path in [each for each in site.rglob("*") if each.suffix in {".html", ".css", ".js", ".svg"}]:
            Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        handler = partial(PackingHandler, directory=str(site))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            for page in pages or (PAGE,):
                address = f"http://127.0.0.1:{server.server_port}/{page}"
                best = best_of(RUNS, command, address, Path(folder) / "report.json")
                print(f"{page}: " + ", ".join(f"{name} {number}" for name, number in best.items()), flush=True)
                good = good and all(best[name] >= goal for name, goal in GOALS.items())
            server.shutdown()
    return 0 if good else 1


def best_of(runs: int, command: list[str], address: str, report: Path) -> dict[str, int]:
    """The best number of several runs, of 100, for each category."""
    best = dict.fromkeys(GOALS, 0)
    for _ in range(runs):
        words = [
            *command,
            address,
            "--quiet",
            "--output=json",
            f"--output-path={report}",
            f"--only-categories={','.join(GOALS)}",
            f"--chrome-flags=--headless {' '.join(FLAGS)}",
        ]
        subprocess.run(words, check=True, env={**os.environ, "CHROME_PATH": CHROMIUM})
        found = json.loads(report.read_text(encoding="utf-8"))["categories"]
        best = {name: max(best[name], round(100 * (found[name]["score"] or 0))) for name in GOALS}
    return best


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
