"""Control groups: what is counted, what is held, what ends. For real where this machine lets us make them, and
version 2 also against a kernel made of files."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from grader.execution import cgroups
from grader.execution.cgroup_places import Place, candidates, sweep
from grader.execution.cgroups import Group, find, group, try_out

FILL = "import sys\nheld = bytearray(int(sys.argv[1]) << 20)\nheld[::4096] = b'x' * len(held[::4096])\n"
FORKS = """
import os, time
for _ in range(100):
    try:
        if os.fork() == 0:
            time.sleep(600)
    except BlockingIOError:
        pass
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def real() -> Place:
    place = find()
    if not place.available:
        pytest.skip(f"this machine lets us make no control groups: {place.problem}")
    return place


def run(held: Group, program: str, *arguments: object) -> int:
    command = held.joining([sys.executable, "-c", program, *map(str, arguments)])
    return subprocess.run(command, stdout=subprocess.DEVNULL, timeout=120).returncode


def folders(held: Group) -> set[Path]:
    return set(held._folders.values())


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"


def test_a_memory_bomb_ends_at_its_limit(real: Place) -> None:
    with group(96, 20) as held:
        assert run(held, FILL, 400) == -signal.SIGKILL
    assert held.out_of_memory
    assert 90 < held.peak_mb <= 98


def test_memory_that_no_process_shows_counts_as_well(real: Place) -> None:
    hide = "import os\nfile = os.memfd_create('x')\nfor _ in range(400): os.write(file, bytes(1 << 20))\n"
    with group(96, 20) as held:
        assert run(held, hide) == -signal.SIGKILL
    assert held.out_of_memory


def test_the_peak_is_what_was_used_at_once_and_is_known_after_the_end(real: Place) -> None:
    with group(512, 20) as held:
        assert run(held, FILL, 80) == 0
        assert held.memory_mb < 40
        assert run(held, FILL, 120) == 0
    assert not held.out_of_memory
    assert not held.out_of_processes
    assert 120 <= held.peak_mb < 160


def test_the_time_of_children_that_have_ended_is_counted(real: Place) -> None:
    burn = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', sys.argv[1]])\n"
    with group(512, 20) as held:
        assert run(held, burn, "import time\nwhile time.process_time() < 0.3: pass") == 0
        assert held.cpu_seconds >= 0.3
    assert held.cpu_seconds >= 0.3


def test_a_fork_bomb_is_held_and_ends_with_its_group(real: Place) -> None:
    with group(512, 10) as held:
        bomb = subprocess.Popen(held.joining([sys.executable, "-c", FORKS]), stdout=subprocess.PIPE)
        assert bomb.stdout.readline() == b"held\n"
        members = held.pids()
        assert len(members) == 10
        assert held.out_of_processes
        assert held.kill()
        assert held.pids() == set()
        bomb.wait()
        bomb.stdout.close()
    assert all(gone(pid) for pid in members)
    assert held.out_of_processes
    assert not any(folder.exists() for folder in folders(held))


def test_leaving_the_group_ends_what_still_runs_in_it(real: Place) -> None:
    with group(512, 20) as held:
        sleeper = subprocess.Popen(held.joining(["/bin/sh", "-c", "echo in; exec sleep 600"]), stdout=subprocess.PIPE)
        assert sleeper.stdout.readline() == b"in\n"
    assert sleeper.wait(60) == -signal.SIGKILL
    sleeper.stdout.close()
    held.close()
    assert held.peak_mb is not None
    assert held.memory_mb is None


def test_a_process_is_added_with_all_that_it_has_started(real: Place) -> None:
    with group(512, 20) as held:
        shell = subprocess.Popen(["/bin/sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE)
        child = int(shell.stdout.readline())
        held.add(shell.pid)
        assert held.pids() == {shell.pid, child}
    shell.wait(60)
    shell.stdout.close()
    assert gone(child)


def test_adding_a_process_that_is_gone_is_no_trouble(real: Place) -> None:
    done = subprocess.Popen(["/bin/true"])
    done.wait()
    with group(512, 20) as held:
        held.add(done.pid)
        assert held.available
        assert held.pids() == set()


def test_groups_of_a_killed_grader_are_swept_and_those_of_a_living_one_stay(real: Place) -> None:
    leave = (
        "import subprocess, time\nfrom grader.execution.cgroups import group\n"
        "held = group(64, 20)\n"
        "sleeper = subprocess.Popen(held.joining(['/bin/sh', '-c', 'echo; exec sleep 600']), stdout=subprocess.PIPE)\n"
        "sleeper.stdout.readline()\nprint(sleeper.pid, flush=True)\n"
        "print(*set(held._folders.values()), sep='\\t', flush=True)\ntime.sleep(600)\n"
    )
    grader = subprocess.Popen([sys.executable, "-c", leave], stdout=subprocess.PIPE, text=True)
    pid, left = int(grader.stdout.readline()), [Path(path) for path in grader.stdout.readline().rstrip().split("\t")]
    with group(64, 20) as own:
        for parent in set(real.folders.values()):
            sweep(parent)
        assert all(folder.is_dir() for folder in left)
        grader.kill()
        grader.wait()
        grader.stdout.close()
        cgroups.find.cache_clear()
        assert find().available
        assert not any(folder.exists() for folder in left)
        assert gone(pid)
        assert all(folder.is_dir() for folder in folders(own))


def test_without_groups_nothing_happens_and_the_reason_is_kept() -> None:
    with Group(Place(problem="not here"), 64, 20) as held:
        assert not held.available
        assert held.problem == "not here"
        assert held.joining(["/bin/true"]) == ["/bin/true"]
        held.add(os.getpid())
        assert held.kill()
        assert held.pids() == set()
    figures = (held.memory_mb, held.peak_mb, held.cpu_seconds, held.out_of_memory, held.out_of_processes)
    assert figures == (None, None, None, False, False)


def test_a_folder_that_cannot_be_written_is_found_out(tmp_path: Path) -> None:
    place = Place(dict.fromkeys(("memory", "pids", "unified"), tmp_path / "missing"))
    assert "missing" in try_out(place)
    assert not Group(place, 64, 20).available


USER = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/terminal.scope\n"
V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 23 0:27 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
    "32 23 0:28 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    "33 23 0:29 /docker/abc /sys/fs/cgroup/odd\\040name ro - cgroup cgroup rw,pids\n"
)


def test_version_2_is_tried_in_the_own_group_and_then_beside_it() -> None:
    below, beside = candidates(V2, USER)
    assert below.version == beside.version == 2
    assert below.folders["memory"] == Path("/sys/fs/cgroup" + USER.strip()[3:])
    assert beside.folders["pids"] == below.folders["pids"].parent


def test_nothing_is_tried_above_the_hierarchy_that_is_mounted() -> None:
    (root,) = candidates(V2, "0::/\n")
    assert root.folders["unified"] == Path("/sys/fs/cgroup")
    assert list(candidates(V2, "0::/../other\n")) == []


def test_version_1_in_a_container_is_found_below_what_the_container_sees() -> None:
    own = "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc/inner\n3:pids:/docker/abc\n"
    (place,) = candidates(V1, own)
    assert place.version == 1
    assert place.folders == {
        "memory": Path("/sys/fs/cgroup/memory/inner"),
        "pids": Path("/sys/fs/cgroup/odd name"),
        "cpuacct": Path("/sys/fs/cgroup/cpu,cpuacct"),
    }


class Kernel:
    """A folder that behaves as a group of version 2: new folders have the kernel's files, and those do not count
    when the folder is removed."""

    FILES = {
        "cgroup.procs": "",
        "cgroup.kill": "",
        "memory.max": "max\n",
        "memory.swap.max": "max\n",
        "memory.oom.group": "0\n",
        "memory.current": f"{30 << 20}\n",
        "memory.peak": f"{200 << 20}\n",
        "memory.stat": f"anon {10 << 20}\nfile {50 << 20}\nshmem {20 << 20}\n",
        "memory.events": "low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n",
        "pids.max": "max\n",
        "pids.events": "max 3\n",
        "cpu.stat": "usage_usec 2500000\nuser_usec 2000000\n",
    }

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.busy = 0
        self.removed: dict[str, str] = {}

    def mkdir(self, path: Path) -> None:
        os.mkdir(path)  # noqa: PTH102
        for name, text in self.FILES.items():
            (path / name).write_text(text)

    def rmdir(self, path: Path) -> None:
        if self.busy:
            self.busy -= 1
            raise OSError(16, "Device or resource busy")
        self.removed = {file.name: file.read_text() for file in path.iterdir()}
        shutil.rmtree(path)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel(tmp_path / "app.slice")
    made.folder.mkdir()
    (made.folder / "cgroup.subtree_control").write_text("cpu pids\n")
    monkeypatch.setattr(Path, "mkdir", lambda path: made.mkdir(path))
    monkeypatch.setattr(Path, "rmdir", lambda path: made.rmdir(path))
    return made


def everywhere(kernel: Kernel) -> Place:
    return Place(dict.fromkeys(("memory", "pids", "unified"), kernel.folder))


def test_version_2_limits_memory_with_swap_counted_in_and_ends_the_whole_group(kernel: Kernel) -> None:
    with Group(everywhere(kernel), 256, 12) as held:
        (folder,) = folders(held)
        found = {name: (folder / name).read_text() for name in ("memory.max", "memory.swap.max", "pids.max")}
        assert found == {
            "memory.max": str(256 << 20),
            "memory.swap.max": "0",
            "pids.max": "12",
        }
        assert (folder / "memory.oom.group").read_text() == "1"
        # 50 MB of files, of which 20 are in memory only: the other 30 can be read again
        assert held.peak_mb == 170
        assert held.memory_mb == 0
        assert (held.cpu_seconds, held.out_of_memory, held.out_of_processes) == (2.5, True, True)
    assert kernel.removed["cgroup.kill"] == "1"
    assert kernel.removed["pids.max"] == "0", "nothing starts while all is ended"
    assert (held.peak_mb, held.cpu_seconds, held.out_of_memory, held.out_of_processes) == (170, 2.5, True, True)


def test_controllers_that_are_missing_are_asked_for(kernel: Kernel) -> None:
    # in a folder of files no process shows up
    assert try_out(everywhere(kernel)) == ""
    assert (kernel.folder / "cgroup.subtree_control").read_text() == "+memory"
    (kernel.folder / "cgroup.subtree_control").write_text("memory pids\n")
    assert try_out(everywhere(kernel)) == ""
    assert (kernel.folder / "cgroup.subtree_control").read_text() == "memory pids\n"


def test_a_busy_group_is_removed_as_soon_as_it_can_be(kernel: Kernel) -> None:
    kernel.busy = 3
    with Group(everywhere(kernel), 256, 12) as held:
        pass
    assert kernel.busy == 0
    assert not any(folder.exists() for folder in folders(held))


def test_a_group_that_cannot_get_its_limits_is_none(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(Kernel.FILES, "pids.max")
    held = Group(everywhere(kernel), 256, 12)
    assert not held.available
    assert "pids.max" in held.problem
    assert list(kernel.folder.iterdir()) == [kernel.folder / "cgroup.subtree_control"]
