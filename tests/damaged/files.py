"""What happens to a notebook as a file: other formats, other encodings, other names, other folders."""

import copy
import json
import warnings

from .sheet import Sheet, damage, text

Files = dict[str, bytes]
"""A submission's folder: contents by relative path."""


@damage("saved as nbformat 3", "format")
def nbformat_3(sheet: Sheet) -> None:
    import nbformat

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        older = nbformat.convert(nbformat.from_dict(copy.deepcopy(sheet.notebook)), 3)
    sheet.notebook.clear()
    sheet.notebook.update(json.loads(json.dumps(older)))


@damage("saved as nbformat 4.0 to 4.4, without ids")
def nbformat_4_without_ids(sheet: Sheet) -> None:
    for cell in sheet.cells:
        cell.pop("id", None)
    sheet.notebook["nbformat_minor"] = sheet.rng.randint(0, 4)


@damage("sources as lists of lines, keys in another order")
def sources_as_lines(sheet: Sheet) -> None:
    for cell in sheet.cells:
        cell["source"] = text(cell).splitlines(keepends=True)
    sheet.notebook.update(dict(reversed(list(sheet.notebook.items()))))


@damage("Windows line ends in the file and in the sources")
def windows_line_ends(sheet: Sheet) -> None:
    for cell in sheet.cells:
        cell["source"] = text(cell).replace("\n", "\r\n")


@damage("white space at the ends of lines, empty lines around")
def white_space(sheet: Sheet) -> None:
    for cell in sheet.cells:
        cell["source"] = "\n\n" + text(cell).replace("\n", "  \n") + "\n\n  "


@damage("CRLF in the file", "file")
def crlf_file(data: bytes, sheet: Sheet) -> bytes:
    return data.replace(b"\n", b"\r\n")


@damage("a byte order mark", "file")
def byte_order_mark(data: bytes, sheet: Sheet) -> bytes:
    return b"\xef\xbb\xbf" + data


@damage("saved as UTF-16", "file")
def utf_16(data: bytes, sheet: Sheet) -> bytes:
    return data.decode().encode("utf-16")


@damage("saved as UTF-16 without a mark", "file")
def utf_16_without_mark(data: bytes, sheet: Sheet) -> bytes:
    return data.decode().encode("utf-16-le")


@damage("saved as Latin-1", "file")
def latin_1(data: bytes, sheet: Sheet) -> bytes:
    return data.decode().encode("latin-1", "replace")


@damage("rubbish behind the end", "file")
def trailing_rubbish(data: bytes, sheet: Sheet) -> bytes:
    return data + sheet.rng.choice([b"\0" * 512, b"}\n", b"\n\nSent from my phone", data[-300:], b"null"])


@damage("rubbish in front", "file")
def leading_rubbish(data: bytes, sheet: Sheet) -> bytes:
    return sheet.rng.choice([b"\n\n \xc2\xa0\n", b"\0\0", b"Content-Type: application/json\r\n\r\n"]) + data


@damage("the end cut off by a broken upload", "file")
def end_cut_off(data: bytes, sheet: Sheet) -> bytes:
    """Only closing brackets and metadata of the notebook are lost: what is cut deeper loses answers."""
    return data[: data.rindex(b"]") - sheet.rng.randint(0, 3)]


@damage("both sides of a merge in git", "file")
def merge_markers(data: bytes, sheet: Sheet) -> bytes:
    """Two runs of the same cell differ in their counts, and git marks both."""
    lines = data.decode().split("\n")
    places = [n for n, line in enumerate(lines) if '"execution_count":' in line]
    for place in sorted(sheet.rng.sample(places, min(2, len(places))), reverse=True):
        other = '   "execution_count": 77,'
        if not lines[place].endswith(","):
            other = other.rstrip(",")
        lines[place : place + 1] = ["<<<<<<< HEAD", lines[place], "=======", other, ">>>>>>> 1f2e3d4 (my work)"]
    return "\n".join(lines).encode()


def _renamed(files: Files, name: str) -> Files:
    (data,) = files.values()
    return {name: data}


@damage("renamed by a browser, a system or its author", "folder")
def renamed(files: Files, sheet: Sheet) -> Files:
    stem = next(iter(files)).removesuffix(".ipynb")
    names = [
        f"{stem} (1).ipynb",
        f"{stem}-Copy1.ipynb",
        f"Copy of {stem}.ipynb",
        f"{stem.upper()}.IPYNB",
        "final_v2.ipynb",
    ]
    return _renamed(files, sheet.rng.choice([*names, f"Übung 1 – {stem}.ipynb"]))


@damage("saved with another extension", "folder")
def other_extension(files: Files, sheet: Sheet) -> Files:
    name = next(iter(files))
    return _renamed(files, name + sheet.rng.choice([".txt", ".json"]))


@damage("one folder deeper", "folder")
def folder_deeper(files: Files, sheet: Sheet) -> Files:
    name = next(iter(files))
    return _renamed(files, f"{sheet.rng.choice(['my homework', '01-lm-basics'])}/{name}")


@damage("checkpoints and other programs' files beside it", "folder")
def rubbish_beside(files: Files, sheet: Sheet) -> Files:
    name = next(iter(files))
    return {
        **files,
        f".ipynb_checkpoints/{name.removesuffix('.ipynb')}-checkpoint.ipynb": b"{}",
        f"._{name}": b"\0\5\x16\7" * 20,
        "__MACOSX/._x": b"\0",
        "Thumbs.db": b"\0" * 100,
        "notes.txt": b"dear teacher",
        "timestamp.txt": b"yesterday evening",
    }


@damage("a second copy of the notebook beside it", "folder")
def second_copy(files: Files, sheet: Sheet) -> Files:
    name, data = next(iter(files.items()))
    return {**files, f"{name.removesuffix('.ipynb')}-Copy1.ipynb": data}


@damage("the work in a copy, the untouched original beside it", "folder")
def work_in_a_copy(files: Files, sheet: Sheet) -> Files:
    name, data = next(iter(files.items()))
    copied = f"{name.removesuffix('.ipynb')}-Copy1.ipynb"
    return {name: json.dumps(sheet.skeleton, indent=1).encode(), copied: data}
