"""Lighthouse's four numbers for one page of the finished site, as a phone on a slow network sees it.

`make lighthouse`. Needs npm, and `course book` before; not part of the suite, because the numbers depend on how busy
the machine is: the best of three runs is printed.
"""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

from tests.browser.conftest import CHROMIUM, FLAGS, QuietHandler

SITE = Path("build/book/site")
PAGE = "chapters/01-lm-basics/lm-basics.html"
RUNS = 3
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")


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


def main(page: str = PAGE) -> int:
    """Print each category's number; exit code 1 where one is below its goal."""
    import gzip
    import tempfile

    command = os.environ.get("LIGHTHOUSE", "npx --yes lighthouse@12").split()
    if shutil.which(command[0]) is None:
        sys.exit("lighthouse comes from npm, which is not on PATH: `apt-get install npm`, or set LIGHTHOUSE")
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        shutil.copytree(SITE, site, ignore=shutil.ignore_patterns("downloads"))
        for path in [each for each in site.rglob("*") if each.suffix in {".html", ".css", ".js", ".svg"}]:
            Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        handler = partial(PackingHandler, directory=str(site))
        best = dict.fromkeys(CATEGORIES, 0)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            for _ in range(RUNS):
                report = Path(folder) / "report.json"
                words = [
                    *command,
                    f"http://127.0.0.1:{server.server_port}/{page}",
                    "--quiet",
                    "--output=json",
                    f"--output-path={report}",
                    f"--only-categories={','.join(CATEGORIES)}",
                    f"--chrome-flags=--headless {' '.join(FLAGS)}",
                ]
                subprocess.run(words, check=True, env={**os.environ, "CHROME_PATH": CHROMIUM})
                found = json.loads(report.read_text(encoding="utf-8"))["categories"]
                best = {name: max(best[name], round(100 * (found[name]["score"] or 0))) for name in CATEGORIES}
            server.shutdown()
    print(f"{page}: " + ", ".join(f"{name} {number}" for name, number in best.items()))
    return 0 if best["performance"] >= 94 and min(list(best.values())[1:]) == 100 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
