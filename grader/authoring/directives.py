"""The directives and roles that a page may use: those for which there is a rule in notebook and book."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """What a directive takes. `argument` and `body` are `required`, `allowed` or `none`."""

    argument: str
    body: str
    options: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


PLAIN_ADMONITIONS = (
    "attention", "caution", "danger", "error", "hint", "important", "note", "seealso", "tip", "warning",
)  # fmt: skip

DIRECTIVES: dict[str, Rule] = {
    "admonition": Rule("required", "required", ("class", "name")),
    "exercise": Rule("required", "required", ("label", "number", "difficulty", "importance", "minutes", "builds-on")),
    "mistakes": Rule("required", "none"),
    "quiz": Rule("none", "required"),
    "figure": Rule("required", "allowed", ("alt", "name", "width", "align", "class"), ("alt",)),
    "image": Rule("required", "none", ("alt", "width", "align", "class"), ("alt",)),
    "table": Rule("allowed", "required", ("name", "class", "align")),
    "math": Rule("none", "required", ("label",)),
    "code": Rule("allowed", "required"),
    "code-block": Rule("allowed", "required"),
    "bibliography": Rule("none", "none", ("filter", "style")),
} | {name: Rule("none", "required", ("class", "name")) for name in PLAIN_ADMONITIONS}

REMEDY = {
    "code-cell": "a code cell cannot stand inside another directive: move it out",
}

ROLES = ("cite", "cite:t", "cite:p", "eq", "numref", "ref", "term", "doc", "math")

IMAGES = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}


def split_role(content: str) -> tuple[str, str]:
    """A role's own words, if any, and its target.

    >>> split_role("the sum <sum>"), split_role("sum")
    (('the sum', 'sum'), ('', 'sum'))
    """
    words, bracket, target = content.rpartition("<")
    if bracket and target.endswith(">"):
        return words.strip(), target[:-1].strip()
    return "", content.strip()
