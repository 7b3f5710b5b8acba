"""A Sphinx extension: an admonition of class `dropdown` becomes HTML's own `<details>`.

It is closed before any script has run and where none runs, opens by keyboard, and a screen reader says its title.
"""

from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform


class details(nodes.General, nodes.Element):  # noqa: N801  (docutils names nodes so)
    """What can be folded; its first child is a `summary`."""


class summary(nodes.General, nodes.TextElement):  # noqa: N801
    """The line that stays visible."""


class Dropdowns(SphinxPostTransform):
    """Replaces admonitions on pages; in an EPUB, whose readers seldom fold, they stay open."""

    default_priority = 200
    formats = ("html",)

    def run(self, **options: Any) -> None:
        """Change the document in place."""
        if self.app.builder.name == "epub":
            return
        for admonition in list(self.document.findall(nodes.admonition)):
            if "dropdown" not in admonition["classes"]:
                continue
            title, *body = admonition.children
            folded = details("", summary("", "", *title.children), *body, **admonition.attributes)
            admonition.replace_self(folded)


def _visit_details(translator: Any, node: details) -> None:
    translator.body.append(translator.starttag(node, "details", CLASS="admonition"))


def _leave_details(translator: Any, node: details) -> None:
    translator.body.append("</details>\n")


def _visit_summary(translator: Any, node: summary) -> None:
    translator.body.append(translator.starttag(node, "summary", "", CLASS="admonition-title"))


def _leave_summary(translator: Any, node: summary) -> None:
    translator.body.append("</summary>\n")


def setup(app: Any) -> dict[str, bool]:
    """Register the nodes and the transform with Sphinx."""
    app.add_node(details, html=(_visit_details, _leave_details))
    app.add_node(summary, html=(_visit_summary, _leave_summary))
    app.add_post_transform(Dropdowns)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
