"""A page in one file that asks nothing of any server, and runs no script but the one it was made with."""

import base64
import hashlib
from html import escape

HEAD = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
{script}</body>
</html>
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; {scripts}base-uri 'none'; form-action 'none'"


def whole_page(language: str, title: str, style: str, body: str, script: str = "") -> bytes:
    """The page as bytes; what is no valid text becomes a question mark.

    Args:
        language: a tag such as `en`.
        title: text.
        style: CSS.
        body: HTML, in which everything a student wrote is escaped.
        script: JavaScript; the page's policy allows the one with its hash, or none.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = HEAD.format(
        language=escape(language),
        policy=POLICY.format(scripts=f"script-src 'sha256-{digest}'; " if script else ""),
        title=escape(title),
        style=style,
        body=body,
        script=f"<script>{script}</script>\n" if script else "",
    )
    return page.encode("utf-8", "replace")
