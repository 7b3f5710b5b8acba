"""A seccomp filter for the few system calls whose use of the machine no other limit here sees.

System V shared memory, queues and semaphores and the kernel's key rings belong to no process, so what they
hold is in nobody's memory count; io_uring, bpf, userfaultfd and perf are doors into the kernel that no
notebook needs. The calls fail with "operation not permitted". Everything else passes: this is one wall of
several, not the sandbox.
"""

import errno
import platform
import struct

# numbers from Linux's tables of system calls, by machine
MACHINES: dict[str, tuple[int, dict[str, int]]] = {
    "x86_64": (
        0xC000003E,
        {
            "shmget": 29,
            "semget": 64,
            "msgget": 68,
            "add_key": 248,
            "request_key": 249,
            "keyctl": 250,
            "perf_event_open": 298,
            "bpf": 321,
            "userfaultfd": 323,
            "io_uring_setup": 425,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "msgget": 186,
            "semget": 190,
            "shmget": 194,
            "add_key": 217,
            "request_key": 218,
            "keyctl": 219,
            "perf_event_open": 241,
            "bpf": 280,
            "userfaultfd": 282,
            "io_uring_setup": 425,
        },
    ),
}

LOAD, JUMP_EQUAL, JUMP_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
NUMBER, ARCHITECTURE = 0, 4
X32 = 0x40000000
"""On x86_64, calls from here on are the same calls under other numbers."""


def filter_program(machine: str | None = None) -> bytes:
    """The filter as bubblewrap's --seccomp reads it; empty for a machine whose numbers are not listed."""
    machine = machine or platform.machine()
    if machine not in MACHINES:
        return b""
    architecture, numbers = MACHINES[machine]
    tests = [(JUMP_AT_LEAST, X32), *((JUMP_EQUAL, number) for number in numbers.values())]
    program = [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_EQUAL, 0, len(tests) + 2, architecture),
        (LOAD, 0, 0, NUMBER),
    ]
    # each test jumps over the rest of them and the ALLOW that follows, to REFUSE
    program += [(test, len(tests) - at, 0, value) for at, (test, value) in enumerate(tests)]
    program += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
