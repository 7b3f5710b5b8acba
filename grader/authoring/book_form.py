"""A page's text for the book: MyST as Sphinx reads it, with the course's own directives in terms of Sphinx's.

Exercise cards, common mistakes and quizzes become admonitions; references to exercises become links, because
an admonition has no number of its own; everything else stays as it is written.
"""

import re
from dataclasses import dataclass
from textwrap import indent

from grader.authoring.directives import DIRECTIVES, split_role
from grader.authoring.markup import INLINE, VERBATIM, Block, Directive, Text, blocks, fenced, kind_of
from grader.authoring.notebook_form import BELIEFS, beliefs_of
from grader.authoring.page import Page
from grader.authoring.quiz import parse_quiz
from grader.authoring.targets import References, Target, book_docname
from grader.course import Course


@dataclass
class BookForm:
    """Renders the Markdown cells of one page."""

    course: Course
    page: Page

    def __post_init__(self) -> None:
        self.references = References(self.course, self.page)

    def cell(self, source: str) -> str:
        """One Markdown cell's text."""
        return self._render(blocks(source, 1))

    def _render(self, items: list[Block]) -> str:
        shown = [self._block(block).strip("\n") for block in items]
        return "\n\n".join(text for text in shown if text)

    def _block(self, block: Block) -> str:
        if isinstance(block, Text):
            return self._text(block.text)
        if not isinstance(block, Directive):
            return block.text
        return indent(self._directive(block), block.indent)

    def _directive(self, block: Directive) -> str:
        if block.name == "exercise":
            exercise = self.page.exercise(block.options["label"])
            options = {"class": "exercise", "name": exercise_name(exercise.number)}
            title = f"Exercise {exercise.number}: {self._text(exercise.title)}"
            return fenced("admonition", title, options, f"*{exercise.facts}*\n\n{self._render(block.blocks())}")
        if block.name == "mistakes":
            body = "\n".join(f"- {self._text(belief)}" for belief in beliefs_of(self.page, block.argument))
            return fenced("admonition", "Common mistakes", {"class": "mistakes dropdown"}, f"{BELIEFS}\n\n{body}")
        if block.name == "quiz":
            return self._quiz(block)
        if block.name in VERBATIM:
            return fenced(block.name, block.argument, block.options, block.body)
        assert block.name in DIRECTIVES, block.name
        argument = block.argument if block.name in ("figure", "image") else self._text(block.argument)
        return fenced(block.name, argument, block.options, self._render(block.blocks()))

    def _quiz(self, block: Directive) -> str:
        quiz = parse_quiz(block.body)
        parts = [self._render(blocks(quiz.question, block.body_line))]
        for choice in quiz.choices:
            options = {"class": f"quiz-choice {'right' if choice.right else 'wrong'} dropdown"}
            explanation = f"{choice.verdict} {self._text(choice.explanation)}"
            parts.append(fenced("admonition", self._text(choice.text), options, explanation))
        return fenced("admonition", "Question", {"class": "quiz"}, "\n\n".join(parts))

    def _text(self, text: str) -> str:
        def replace(match: re.Match[str]) -> str:
            kind = kind_of(match)
            if kind == "role" and match["role"] in ("numref", "ref"):
                words, label = split_role(match["content"])
                target = self.references.find(label)
                if target is not None and target.kind == "exercise":
                    return _exercise_link(target.named(words), target)
            elif kind == "role" and match["role"] == "doc":
                words, name = split_role(match["content"])
                if (chapter := self.references.chapter_of(name)) is not None:
                    return f"{{doc}}`{words or chapter.title} </{book_docname(chapter)}>`"
            elif kind == "comment":
                return ""  # the book publishes its sources
            elif kind == "link":
                return self._link(self._text(match["text"]), match["href"])
            return str(match[0])

        return INLINE.sub(replace, text)

    def _link(self, words: str, href: str) -> str:
        path, _, label = href.partition("#")
        chapter = self.references.chapter_of(path)
        if label and (chapter is not None or not path):
            target = self.references.find(label)
            if target is not None and target.kind == "exercise":
                return _exercise_link(words, target)
            return f"[{words}](#{label})"
        if chapter is None:
            return f"[{words}]({href})"
        return f"{{doc}}`{words or chapter.title} </{book_docname(chapter)}>`"


def exercise_name(number: str) -> str:
    """The label of an exercise in the book: labels are unique in the whole book there.

    >>> exercise_name("1.3")
    'exercise-1-3'
    """
    return f"exercise-{number.replace('.', '-')}"


def _exercise_link(words: str, target: Target) -> str:
    return f"[{words or target.words}](#{exercise_name(target.number)})"
