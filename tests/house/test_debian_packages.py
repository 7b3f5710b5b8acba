"""The one script that brings Debian packages: installs as root, else prints the exact line; never guesses."""

import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the script is for Debian")


@pytest.fixture
def machine(tmp_path, repository):
    """Run the script on a pretended machine: `programs` are there, `uid` is who we are."""
    folder = tmp_path / "bin"
    folder.mkdir()
    calls = tmp_path / "calls"
    servers = tmp_path / "postgresql"
    (servers / "15" / "bin").mkdir(parents=True)
    (servers / "15" / "bin" / "postgres").touch()

    def program(name, text):
        path = folder / name
        path.write_text(f"#!{shutil.which('bash')}\n{text}\n")
        path.chmod(0o755)

    program("ldconfig", "echo libatomic.so.1")
    program("env", f'exec {shutil.which("env")} "$@"')

    def run(programs, uid, katex=True, postgresql=True, **environment):
        for name in programs:
            program(name, f'echo {name} "$@" >> {calls}')
        program("id", f"echo {uid}")
        done = subprocess.run(
            [shutil.which("bash"), str(repository / ".ci" / "debian-packages")],
            env={
                "PATH": str(folder),
                "PYTHON": sys.executable,
                "LDCONFIG": str(folder / "ldconfig"),
                "KATEX": "/dev/null" if katex else "/nowhere",
                "POSTGRESQL": str(servers if postgresql else tmp_path / "nowhere"),
                "HOME": os.environ.get("HOME", "/"),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return done, calls.read_text().splitlines() if calls.exists() else []

    return run


def test_nothing_missing_means_nothing_done(machine):
    done, calls = machine(["bwrap", "node", "chromium", "apt-get"], uid=0)
    assert (done.returncode, done.stdout, calls) == (0, "", [])


def test_as_root_the_missing_packages_are_installed_and_no_others(machine):
    done, calls = machine(["node", "apt-get"], uid=0)
    assert done.returncode == 0, done.stderr
    assert calls == [
        "apt-get update -qq",
        "apt-get install -y --no-install-recommends bubblewrap chromium -qq",
    ]


def test_with_sudo_it_asks_sudo(machine):
    done, calls = machine(["node", "chromium", "apt-get", "sudo"], uid=1000)
    assert done.returncode == 0, done.stderr
    assert calls[0] == "sudo -n true"
    assert any("apt-get install -y --no-install-recommends bubblewrap" in call for call in calls)


def test_without_root_or_sudo_it_prints_the_exact_line_and_fails(machine):
    done, calls = machine(["node", "apt-get"], uid=1000)
    assert done.returncode == 1
    line = "sudo apt-get update && sudo apt-get install -y --no-install-recommends bubblewrap chromium"
    assert line in done.stderr
    assert calls == []


def test_on_another_system_it_says_what_to_bring_and_goes_on(machine):
    done, calls = machine([], uid=1000)
    assert done.returncode == 0
    assert "bubblewrap nodejs chromium" in done.stderr
    assert calls == []


def test_the_formulas_package_is_asked_for_where_its_file_is_missing(machine):
    done, calls = machine(["bwrap", "node", "chromium", "apt-get"], uid=0, katex=False)
    assert done.returncode == 0, done.stderr
    assert calls[-1] == "apt-get install -y --no-install-recommends libjs-katex -qq"


def test_the_database_server_of_the_tests_is_asked_for_unless_it_is_there_or_not_wanted(machine):
    rest = ["bwrap", "node", "chromium", "apt-get"]
    done, calls = machine(rest, uid=0, postgresql=False, SKIP_POSTGRESQL="1")
    assert (done.returncode, calls) == (0, [])
    done, calls = machine(rest, uid=0, postgresql=False)
    assert done.returncode == 0, done.stderr
    assert calls[-1] == "apt-get install -y --no-install-recommends postgresql -qq"
    done, calls = machine([*rest, "postgres"], uid=0, postgresql=False)
    assert len(calls) == 2
