"""A file is there as a whole or as it was."""

import pytest

from grader.files import write_whole


def test_a_file_is_replaced_and_its_folders_are_made(tmp_path):
    path = tmp_path / "deep" / "er" / "page.txt"
    write_whole(path, "one\n")
    write_whole(path, "zwei \N{LATIN SMALL LETTER U WITH DIAERESIS}\n")
    assert path.read_bytes() == "zwei \N{LATIN SMALL LETTER U WITH DIAERESIS}\n".encode()
    assert [each.name for each in path.parent.iterdir()] == ["page.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_secret_is_never_readable_by_others(tmp_path):
    write_whole(tmp_path / "secret", b"\0\1", mode=0o600)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "secret").read_bytes() == b"\0\1"


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "page.txt"
    write_whole(path, "old")
    with pytest.raises(TypeError):
        write_whole(path, 3)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["page.txt"]
