"""A seccomp filter for the few system calls that a student's process has no use for and no other limit sees.

System V shared memory, queues and semaphores and the kernel's key rings belong to no process, so what they
hold is in nobody's memory count; io_uring, bpf, userfaultfd and perf are doors into the kernel that no
notebook needs; namespaces and mounts are made before the filter is on and never after; another process's
memory, descriptors and limits are its own. The calls fail with "operation not permitted". Everything else
passes: this is one wall of several, not the sandbox.
"""

import errno
import platform
import struct

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CALLS = """
shmget 29 194, semget 64 190, msgget 68 186, add_key 248 217, request_key 249 218, keyctl 250 219,
perf_event_open 298 241, bpf 321 280, userfaultfd 323 282, io_uring_setup 425 425,
unshare 272 97, setns 308 268, mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51,
open_tree 428 428, move_mount 429 429, fsopen 430 430, fsconfig 431 431, fsmount 432 432, fspick 433 433,
mount_setattr 442 442, open_by_handle_at 304 265, quotactl 179 60, swapon 167 224, swapoff 168 225,
ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, kcmp 312 272, pidfd_getfd 438 438,
acct 163 89, syslog 103 116, reboot 169 142, init_module 175 105, finit_module 313 273, delete_module 176 106,
kexec_load 246 104, kexec_file_load 320 294
"""
"""Refused calls with their numbers in Linux's tables, by machine as above."""
CLONE = {"x86_64": 56, "aarch64": 220}
PRLIMIT = {"x86_64": 302, "aarch64": 261}
CLONE3 = 435
"""Its flags lie in memory, where a filter cannot look. Where it is unknown, C libraries use `clone`."""
NEW_NAMESPACES = 0x7E020000

LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, REFUSE, UNKNOWN = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
X32 = 0x40000000
"""On x86_64, calls from here on are the same calls under other numbers."""


def filter_program(machine: str | None = None) -> bytes:
    """The filter as bubblewrap's --seccomp reads it; empty for a machine whose numbers are not listed."""
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        return b""
    column = 1 + list(ARCHITECTURES).index(machine)
    refused = [int(call.split()[column]) for call in CALLS.split(",")]
    program: list[tuple[int, int, str, str] | str] = [
        (LOAD, ARCHITECTURE, "", ""),
        (JUMP_EQUAL, ARCHITECTURES[machine], "", "refuse"),
        (LOAD, NUMBER, "", ""),
        (JUMP_AT_LEAST, X32, "refuse", ""),
        *((JUMP_EQUAL, number, "refuse", "") for number in refused),
        (JUMP_EQUAL, CLONE[machine], "clone", ""),
        (JUMP_EQUAL, PRLIMIT[machine], "prlimit", ""),
        (JUMP_EQUAL, CLONE3, "unknown", "allow"),
        "clone",
        (LOAD, FIRST_ARGUMENT, "", ""),
        (JUMP_ANY_BIT, NEW_NAMESPACES, "refuse", "allow"),
        "prlimit",  # of this process alone
        (LOAD, FIRST_ARGUMENT, "", ""),
        (JUMP_EQUAL, 0, "allow", "refuse"),
        "allow",
        (RETURN, ALLOW, "", ""),
        "refuse",
        (RETURN, REFUSE, "", ""),
        "unknown",
        (RETURN, UNKNOWN, "", ""),
    ]
    return _assembled(program)


def _assembled(program: list[tuple[int, int, str, str] | str]) -> bytes:
    """Instructions (code, value, where to go if so, where to go if not) and names of places, as bytes.

    No name is the next instruction.
    """
    places: dict[str, int] = {}
    at = 0
    for line in program:
        if isinstance(line, str):
            places[line] = at
        else:
            at += 1
    data = b""
    for number, (code, value, yes, no) in enumerate(line for line in program if not isinstance(line, str)):
        jumps = [places[name] - number - 1 if name else 0 for name in (yes, no)]
        data += struct.pack("=HBBI", code, *jumps, value)
    return data
