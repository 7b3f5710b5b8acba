"""The fork servers of this process: kept while their library is in use, replaced when they are worn or odd."""

import logging
import os
import threading
from dataclasses import dataclass, field

from grader.execution import sandbox, shelf
from grader.execution.plan import Plan
from grader.execution.trial import try_out
from grader.execution.warm import Forked, Server, ThreadedError, WarmProblem

MAX_FORKS = 200
"""Of one server: then another takes its place."""
MAX_IDLE = 2
"""Servers that wait for a submission; the longest idle one ends first."""
MAX_FAILURES = 3
"""Servers of one kind that did not come up, one after the other: from then on that kind starts cold."""

Key = tuple[str, ...]

log = logging.getLogger(__name__)


@dataclass
class Kind:
    """What is known of the servers for one library.

    Attributes:
        without: imports that start a thread.
        failures: servers in a row that did not come up.
    """

    without: tuple[str, ...] = ()
    failures: int = 0


@dataclass
class Pool:
    """Servers by their library and what their sandbox shows."""

    idle: list[tuple[Key, Server]] = field(default_factory=list)
    kinds: dict[Key, Kind] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    owner: int = field(default_factory=os.getpid)
    generation: int = 0

    def _take(self, plan: Plan, key: Key) -> Server:
        with self.lock:
            self._check_owner()
            kind = self.kinds.setdefault(key, Kind())
            for item in reversed(self.idle):
                if item[0] == key:
                    self.idle.remove(item)
                    if item[1].alive:
                        return item[1]
                    item[1].close()
        if kind.failures >= MAX_FAILURES:
            raise WarmProblem("")
        try:
            server = self._start(plan, kind)
        except (WarmProblem, OSError) as error:
            kind.failures += 1
            words = f"no fork server comes up: {error}"
            if kind.failures >= MAX_FAILURES:
                words += "; submissions start cold from here on"
                log.warning(words)
            raise WarmProblem(words) from None
        kind.failures = 0
        return server

    def fork(self, plan: Plan) -> Forked:
        """A fork for one submission; closing it gives its server back.

        Raises:
            WarmProblem: when there is no server, or it cannot fork.
        """
        key = (plan.library.digest, *sandbox.mounts(plan.library.packages, []))
        generation, server = self.generation, self._take(plan, key)
        try:
            return server.fork(plan.budget, lambda: self._give_back(key, server, generation))
        except BaseException:
            server.close()
            raise

    def _start(self, plan: Plan, kind: Kind) -> Server:
        folder, bubblewrap = shelf.library_folder(plan), sandbox.find_bubblewrap()
        for _ in range(4):
            try:
                server = Server(plan.library, folder, bubblewrap, kind.without)
                break
            except ThreadedError as error:
                if not error.names:
                    raise
                kind.without += error.names
        else:
            raise WarmProblem("too many of the imports start threads")
        try:
            try_out(server)
        except BaseException:
            server.close()
            raise
        return server

    def _give_back(self, key: Key, server: Server, generation: int) -> None:
        """Keep a server for the next submission, or end it where it is worn."""
        surplus = []
        with self.lock:
            fit = server.alive and server.forks < MAX_FORKS and generation == self.generation
            if fit and self.owner == os.getpid():
                self.idle.append((key, server))
                surplus = [old for _, old in self.idle[:-MAX_IDLE]]
                del self.idle[:-MAX_IDLE]
            else:
                surplus = [server]
        for old in surplus:
            old.close()

    def close(self) -> None:
        """End all servers that wait; those in use end when they are given back."""
        with self.lock:
            self.generation += 1
            servers, self.idle = self.idle, []
            self.kinds.clear()
            mine = self.owner == os.getpid()
        for _, server in servers if mine else ():
            server.close()

    def _check_owner(self) -> None:
        """A copy of this process has no servers: they are its parent's."""
        if self.owner != os.getpid():
            self.idle, self.kinds, self.owner = [], {}, os.getpid()


pool = Pool()
