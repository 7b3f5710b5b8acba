"""What a submission can see and reach: its own small world and nothing of ours."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.execution.sandbox import SYSTEM
from grader.execution.syscalls import filter_program

pytestmark = [pytest.mark.sandbox, pytest.mark.also_cold]

GOOD = {"double": [14, 16], "triple": [21, 24]}


def test_no_network(submit: Callable, shown: Callable) -> None:
    outcome = submit(
        "import socket; print(socket.if_nameindex())",
        "import socket; socket.create_connection(('1.1.1.1', 53), 1)",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import socket; socket.create_connection(('127.0.0.1', 22), 1)",
    )
    assert shown(outcome).count("(") == 1  # a loopback device of its own
    for number in (1, 2, 3):
        assert outcome.outputs[f"hostile-{number}"][0]["output_type"] == "error"


def test_a_socket_of_the_host_is_not_there(submit: Callable, shown: Callable) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("\0grading-test-socket")
        listening.listen()
        source = "import socket; socket.socket(socket.AF_UNIX).connect('\\0grading-test-socket')"
        assert "refused" in shown(submit(source))


def test_the_course_the_gradebook_and_home_are_not_there(
    submit: Callable, shown: Callable, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("class") / "gradebook.db"
    secret.write_text("every point")
    ours = [secret, repository / "course.toml", repository / "grader" / "hidden.py", Path.home() / ".bashrc"]
    paths = [*map(str, ours), "/etc/shadow", "/etc/passwd", "/home", "/var", "/run", f"/proc/{os.getpid()}"]
    outcome = submit(
        f"import os\nprint([path for path in {paths} if os.path.lexists(path)])",
        f"import os\nprint(os.listdir({str(repository)!r}))",
        "import grader.hidden",
    )
    assert shown(outcome).strip() == "[]"
    seen = shown(outcome, "hostile-1")
    assert "No such file" in seen or seen.strip() == str([Path(sys.prefix).name])
    assert "No module named" in shown(outcome, "hostile-2")


def test_no_text_of_the_grader_is_anywhere_in_reach(submit: Callable, shown: Callable) -> None:
    source = """
import os
names = {"hidden.py", "course.toml", "inside.py", "gradebook.db", "mistakes.py", ".secret"}
system = {"proc", "sys", "dev", "usr", "bin", "lib", "lib64", "sbin", "lib32", "libx32"}
found = []
for top in set(os.listdir("/")) - system:
    for folder, folders, files in os.walk(f"/{top}"):
        folders[:] = [name for name in folders if name not in ("site-packages", "python3.11")]
        found += names.intersection(files)
print(found)
"""
    assert shown(submit(source, cell_seconds=30)).strip() == "[]"


def test_no_other_process_is_visible(submit: Callable, shown: Callable) -> None:
    source = "import os\nprint(sorted(int(name) for name in os.listdir('/proc') if name.isdigit()))"
    assert shown(submit(source)).strip() == "[1, 2]"


def test_the_environment_holds_nothing_of_ours(
    submit: Callable, shown: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_SECRET", "abracadabra")
    outcome = submit("import os\nprint(dict(os.environ))\nprint(open('/proc/1/environ').read())", "!env")
    assert "NBGRADER_EXECUTION" in shown(outcome)
    assert "abracadabra" not in str(outcome)


@pytest.mark.parametrize("folder", ["/usr", "/etc", "/", "/dev", str(Path(sys.executable).parent), sys.base_prefix])
def test_nothing_but_the_scratch_folder_can_be_written(submit: Callable, shown: Callable, folder: str) -> None:
    outcome = submit(f"open('{folder}/planted', 'w')", f"import os; os.mkdir('{folder}/planted-folder')\nprint('made')")
    assert outcome.outputs["hostile-0"][0]["ename"] in ("OSError", "PermissionError")
    assert "made" not in shown(outcome, "hostile-1")
    assert outcome.answers == GOOD


def test_no_privilege_is_left(submit: Callable, shown: Callable) -> None:
    source = """
import os
status = {key: value.strip() for key, value in (line.split(":", 1) for line in open("/proc/self/status"))}
sets = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
print(os.getuid() != 0, {int(status[name], 16) for name in sets},
      status["NoNewPrivs"], os.getgroups() in ([], [os.getgid()]))
"""
    assert shown(submit(source)).strip() == "True {0} 1 True"


def test_a_user_namespace_of_its_own_gives_no_power_outside(submit: Callable) -> None:
    mount = "!unshare -Urm sh -c 'mount --bind . /usr; mount -o remount,rw /usr; touch /usr/planted'"
    outcome = submit(mount, "import os\nprint(os.path.exists('/usr/planted'))")
    assert outcome.outputs["hostile-1"][0]["text"] == "False\n"
    assert outcome.answers == GOOD


def test_memory_that_no_process_owns_cannot_be_taken(submit: Callable, shown: Callable) -> None:
    source = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
calls = {"shmget": (0, 1 << 20, 0o1600), "msgget": (0, 0o1600), "semget": (0, 1, 0o1600)}
for name, arguments in calls.items():
    print(name, getattr(libc, name)(*arguments), errno.errorcode[ctypes.get_errno()])
"""
    said = shown(submit(source)).strip()
    if filter_program():
        assert said == "shmget -1 EPERM\nmsgget -1 EPERM\nsemget -1 EPERM"


def test_no_descriptor_of_ours_is_open_but_the_two_pipes(submit: Callable, shown: Callable) -> None:
    source = """
import os
links = [f"/proc/self/fd/{fd}" for fd in range(3, 64)]
kinds = [os.readlink(link).split(":")[0] for link in links if os.path.islink(link)]
print(sorted(kind for kind in kinds if not kind.startswith("/submission")))
"""
    assert shown(submit(source)).strip() == "['/dev/null', 'pipe', 'pipe']"


def test_the_library_slice_is_there_and_the_rest_of_it_is_not(submit: Callable, shown: Callable) -> None:
    library = {"byhand/__init__.py": b"slice = 1", "byhand/lab.py": b"tool = 2"}
    outcome = submit(
        "import byhand\nfrom byhand import lab\nprint(byhand.slice, lab.tool, byhand.__file__)",
        "import byhand.probability",
        "import importlib.util\nprint(importlib.util.find_spec('byhand.probability'))",
        library=library,
    )
    assert shown(outcome).strip() == "1 2 /library/byhand/__init__.py"
    assert outcome.outputs["hostile-1"][0]["ename"] == "ModuleNotFoundError"
    assert shown(outcome, "hostile-2").strip() == "None"


def test_configuration_planted_in_the_working_folder_is_not_read(submit: Callable, shown: Callable) -> None:
    plant = """
import os, pathlib
start = os.environ["IPYTHONDIR"] + "/profile_default/startup"
for folder in (".", os.environ["HOME"], os.environ["IPYTHONDIR"], start):
    os.makedirs(folder, exist_ok=True)
    for name in ("numpy.py", "sitecustomize.py", "usercustomize.py", "ipython_config.py", "00-start.py"):
        pathlib.Path(folder, name).write_text("print('planted')")
"""
    outcome = submit(plant, "import numpy\nprint(numpy.__file__)", cell_seconds=5)
    assert "site-packages" in shown(outcome, "hostile-1")
    assert "planted" not in shown(outcome, "hostile-1")
    assert outcome.answers == GOOD


def test_one_submission_sees_nothing_of_the_one_before(submit: Callable, shown: Callable) -> None:
    submit("for path in ('/tmp/left', 'left', '/dev/shm/left'): open(path, 'w').write('x')")
    source = "import os\nprint([os.listdir(f) for f in ('/tmp', '.', '/dev/shm', os.environ['HOME'])])"
    assert "left" not in shown(submit(source))


def test_a_restart_sees_nothing_of_the_start_before(submit: Callable, shown: Callable) -> None:
    outcome = submit("import os; os._exit(1) if os.path.exists('left') else open('left', 'w')", "os._exit(2)")
    assert list(outcome.notes) == ["hostile-1"]


def test_no_folder_with_data_of_users_is_shown() -> None:
    assert not {"/home", "/root", "/var", "/etc", "/proc", "/sys", "/run", "/tmp", "/opt", "/srv"} & set(SYSTEM)


def test_a_course_below_a_folder_that_is_shown_stays_hidden(
    submit: Callable,
    shown: Callable,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also shows that Python may be installed below /tmp, where these folders are."""
    folder = tmp_path_factory.mktemp("installed")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    (folder / "program").write_text("")
    (folder / "course").mkdir()
    (folder / "course" / "course.toml").write_text("")
    monkeypatch.setattr("grader.execution.sandbox.SYSTEM", (*SYSTEM, str(folder)))
    monkeypatch.setenv("COURSE_ROOT", str(folder / "course"))
    source = f"import os\nprint(sorted(os.listdir({str(folder)!r})), os.listdir({str(folder / 'course')!r}))"
    assert shown(submit(source)).strip() == "['course', 'program'] []"


AS_A_USER = r"""
import os, sys
assert os.geteuid() == 1234
from grader.course import Budget
from grader.execution.plan import Library, Plan, PlanCell
from grader.execution import starting
from grader.execution.run import execute
starting.TRIES = int(sys.argv[1])
cells = (
    PlanCell("a", "import os; print(os.getuid(), os.path.exists('/etc/passwd'), os.path.exists('/proc/3'))"),
    PlanCell("b", "import time\nfor _ in range(99):\n    if os.fork() == 0: time.sleep(60)"),
    PlanCell("c", "print('on')"),
    PlanCell("d", '''held=[]
while True:
    held.append(os.memfd_create('x'))
    for _ in range(9): os.write(held[-1], b'x' * (1 << 20))'''),
    PlanCell("e", "open('/dev/planted', 'w')"),
)
outcome = execute(Plan("x", cells, (), Library(), Budget(cell_seconds=20, memory_mb=700, processes=24, files_mb=16)))
print([[item.get("text", item.get("ename")) for item in items] for items in outcome.outputs.values()])
print(outcome.notes, outcome.start, outcome.remark)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user")
@pytest.mark.parametrize(("tries", "user", "start"), [(2, 1000, "warm"), (0, 1234, "cold")])
def test_an_ordinary_user_gets_the_same_sandbox(repository: Path, tries: int, user: int, start: str) -> None:
    """Python may lie in root's home, so the test gives an ordinary user a view in which it can be read."""
    python, home = Path(sys.base_prefix).resolve(), Path.home()
    view = ["bwrap", "--die-with-parent", "--dev-bind", "/", "/"]
    if python.is_relative_to(home):
        view += ["--tmpfs", str(home)]
        for folder in reversed(python.relative_to(home).parents):
            view += ["--perms", "0755", "--dir", str(home / folder)]
        view += ["--ro-bind", str(python), str(python)]
    view += ["--chdir", str(repository), "setpriv", "--reuid", "1234", "--regid", "1234", "--clear-groups"]
    done = subprocess.run(
        [*view, sys.executable, "-c", AS_A_USER, str(tries)],
        capture_output=True,
        text=True,
        cwd=repository,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"{user} False False" in done.stdout
    assert f"}} {start}" in done.stdout
    assert "['BlockingIOError']" in done.stdout
    assert r"'on\n'" in done.stdout
    assert "used more than 700 MB" in done.stdout
    assert "['OSError']" in done.stdout or "['PermissionError']" in done.stdout
