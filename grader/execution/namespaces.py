"""A process with namespaces of its own, made by a fork, and the way down to no rights at all.

The text of this file is sent into the fork server's sandbox and runs there: the standard library and the C
library's own calls, nothing else. The server has no rights outside; in a user namespace of its own the new
process may mount and configure, there alone, and gives that up before a student's code runs.
"""

import array
import contextlib
import ctypes
import fcntl
import os
import platform
import signal
import socket
import struct
from pathlib import Path
from typing import Any

CLONE_NUMBERS = {"x86_64": 56, "aarch64": 220}
NEW = {
    "mount": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}
STUDENT = 1000
"""The student's user and group id inside, whatever the server's is outside."""
NOSUID, NODEV, NOEXEC, RECURSIVE, PRIVATE = 2, 4, 8, 1 << 14, 1 << 18
DIE_WITH_PARENT, SET_DUMPABLE, SET_SECCOMP, DROP_BOUND = 1, 4, 22, 24
NO_NEW_PRIVILEGES, AMBIENT, CLEAR_AMBIENT = 38, 47, 4
OPEN_TREE, MOVE_MOUNT = 428, 429
CLOSE_ON_EXEC, TREE_CLONE, RECURSIVE_TREE, EMPTY_PATH, HERE = 0o2000000, 1, 0x8000, 4, -100
CAPABILITIES_VERSION = 0x20080522

libc: Any = ctypes.PyDLL(None, use_errno=True)


def done(result: int, what: str) -> int:
    """The result of a call of the C library.

    Raises:
        OSError: when it failed.
    """
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def fork_apart() -> int:
    """Fork into new namespaces: the child is the first process of its pid namespace and returns 0 here.

    A plain fork followed by `unshare` needs one process more between server and student, and to copy a process
    that has imported torch costs more than all the namespaces.
    """
    number, flags = CLONE_NUMBERS[platform.machine()], sum(NEW.values()) | signal.SIGCHLD
    ctypes.pythonapi.PyOS_BeforeFork()
    pid: int = libc.syscall(ctypes.c_long(number), ctypes.c_long(flags), *[ctypes.c_long(0)] * 4)
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    return done(pid, "clone")


def settle(user: int, group: int, size_mb: int, files: int, kept: list[str]) -> None:
    """In the first process of the new namespaces: ids, mounts, names and a loopback device of its own.

    Args:
        user: the server's user id.
        group: the server's group id.
        size_mb: of each writable folder.
        files: how many files each writable folder may hold.
        kept: folders below /tmp that stay visible.

    Raises:
        OSError: when the kernel does not allow it.
    """
    done(libc.prctl(DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0), "die with parent")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{STUDENT} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{STUDENT} {group} 1")
    mount("none", "/", "", RECURSIVE | PRIVATE)
    mount("proc", "/proc", "proc", NOSUID | NODEV | NOEXEC)
    # from here on nobody inside gets another user namespace, and with it rights to use
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    trees = [(path, open_tree(path)) for path in kept]
    for folder, mode in (("/submission", "0700"), ("/tmp", "1777"), ("/dev/shm", "1777")):
        mount("tmpfs", folder, "tmpfs", NOSUID | NODEV, f"size={size_mb}m,nr_inodes={files},mode={mode}")
    for path, tree in trees:
        move_tree(tree, path)
    socket.sethostname("sandbox")
    loopback_up()


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mount.

    Raises:
        OSError: when the kernel does not allow it.
    """
    words = [text.encode() for text in (source, target, kind)]
    done(libc.mount(*words, ctypes.c_ulong(flags), data.encode()), f"mount {target}")


def open_tree(path: str) -> int:
    """A descriptor of a copy of what is mounted at `path`, to show it again when its parent is covered."""
    flags = TREE_CLONE | RECURSIVE_TREE | CLOSE_ON_EXEC
    return done(libc.syscall(OPEN_TREE, HERE, path.encode(), flags), f"open_tree {path}")


def move_tree(tree: int, path: str) -> None:
    """Mount what `open_tree` copied at `path` again."""
    Path(path).mkdir(parents=True, exist_ok=True)
    done(libc.syscall(MOVE_MOUNT, tree, b"", HERE, path.encode(), EMPTY_PATH), f"move_mount {path}")
    os.close(tree)


def loopback_up() -> None:
    """Switch the loopback device on, as bubblewrap does: some programs talk to themselves through it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        fcntl.ioctl(device, 0x8914, struct.pack("16sH14x", b"lo", 0x41))


def drop_rights(seccomp: bytes) -> None:
    """Give up every capability for good and put the filter of system calls on; nothing gives them back."""
    with contextlib.suppress(OSError):
        for number in range(64):
            done(libc.prctl(DROP_BOUND, number, 0, 0, 0), "drop")
    done(libc.prctl(AMBIENT, CLEAR_AMBIENT, 0, 0, 0), "ambient capabilities")
    done(libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no new privileges")
    header, none = struct.pack("=Ii", CAPABILITIES_VERSION, 0), bytes(24)
    done(libc.capset(header, none), "capset")
    if seccomp:
        program = array.array("B", seccomp)
        address, size = program.buffer_info()
        pointer = struct.pack("@HP", size // 8, address)
        done(libc.prctl(SET_SECCOMP, 2, pointer, 0, 0), "seccomp")


def hide_from_student() -> None:
    """In the first process: nobody of its user may look into its memory or descriptors."""
    done(libc.prctl(SET_DUMPABLE, 0, 0, 0, 0), "dumpable")
