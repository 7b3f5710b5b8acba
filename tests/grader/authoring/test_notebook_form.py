"""MyST becomes what plain JupyterLab, VS Code and Colab show."""

import textwrap

import pytest

from grader.authoring import load_page
from grader.authoring.book_form import BookForm
from grader.authoring.notebook_form import NotebookForm

SHOWN = {
    "a dropdown is details": (
        ":::{admonition} A `hint`\n:class: hint dropdown\nUse *it*.\n:::",
        "<details>\n<summary>A <code>hint</code></summary>\n\nUse *it*.\n\n</details>",
    ),
    "an admonition is a quotation": (
        "Before\n:::{admonition} Mind\n:class: warning\nOne.\n\n- two\n:::\nAfter",
        "Before\n\n> **Mind**\n>\n> One.\n>\n> - two\n\nAfter",
    ),
    "a note has its name as title": (":::{seealso}\nThat.\n:::", "> **See also**\n>\n> That."),
    "an admonition in an admonition": (
        "::::{note}\nA\n\n:::{admonition} B\n:class: dropdown\nC\n:::\n::::",
        "> **Note**\n>\n> A\n>\n> <details>\n> <summary>B</summary>\n>\n> C\n>\n> </details>",
    ),
    "a directive in a list keeps its place": (
        "- one\n\n  ```{note}\n  Two.\n  ```\n- three",
        "- one\n\n  > **Note**\n  >\n  > Two.\n\n- three",
    ),
    "an equation has its number": (
        "```{math}\n:label: sum\na = b\n```",
        '<a id="sum"></a>\n\n$$\na = b \\tag{1.1}\n$$',
    ),
    "math in a quotation stays on one line": (
        ":::{note}\nSo $a\n+ b$ is\n\n$$\na \\\\\nb\n$$\n:::",
        "> **Note**\n>\n> So $a + b$ is\n>\n> $$a \\\\ b$$",
    ),
    "math outside stays as written": ("$$\nx_{1} * y\n$$ and $a_b$, *c*", "$$\nx_{1} * y\n$$ and $a_b$, *c*"),
    "code stays as written": ("```python\n{eq}`sum`\n\n\n% no\n```", "```python\n{eq}`sum`\n\n\n% no\n```"),
    "code in a line stays as written": ("``{eq}`sum` `` and `[](#sum)`", "``{eq}`sum` `` and `[](#sum)`"),
    "a line may begin with code": ("``` a`b ``` by {eq}`sum`", "``` a`b ``` by [(1.1)](#sum)"),
    "a listing keeps its language": ("```{code-block} text\na\n```", "```text\na\n```"),
    "comments of the author go": ("One.\n\n% a secret\n\nTwo.", "One.\n\nTwo."),
    "a citation in the sentence": ("{cite:t}`knuth1997` says", "Knuth (1997) says"),
    "a citation in parentheses": ("It is {cite}`knuth1997`.", "It is (Knuth, 1997)."),
    "a reference to an equation": ("By {eq}`sum`.", "By [(1.1)](#sum)."),
    "a reference to a figure": ("See {numref}`parts`.", "See [Figure 1.1](#parts)."),
    "a reference in other words": ("{numref}`bar %s <parts>`", "[bar 1.1](#parts)"),
    "a reference to an exercise": (
        "[](#shares), {numref}`shares`",
        "[Exercise 1.2](#shares), [Exercise 1.2](#shares)",
    ),
    "a reference to a section": ("[](#adding), {ref}`there <adding>`", "[Adding](#adding), [there](#adding)"),
    "a term": ("{term}`sum` and {term}`sums <sum>`", "sum and sums"),
    "math as a role": ("{math}`a_b`", "$a_b$"),
    "a link to another chapter": ("[on](../02-more/more.md#beyond)", "[on](../02-more/more.ipynb#beyond)"),
    "a label of another chapter": ("[](#beyond)", "[Beyond sums](../02-more/more.ipynb#beyond)"),
    "another chapter": ("{doc}`02-more`", "[More](../02-more/more.ipynb)"),
    "an address": ("[k](https://a.org/b_(c)) <https://a.org>", "[k](https://a.org/b_(c)) <https://a.org>"),
    "a table with a caption": (":::{table} Two\n| a |\n|---|\n| 1 |\n:::", "Two\n\n| a |\n|---|\n| 1 |"),
    "a quiz": (
        ":::{quiz}\nIs $x_1$ `a`?\n\n- [x] Yes, $x_1$ — it\n  is.\n- [ ] No — it is.\n:::",
        "**Question**\n\nIs $x_1$ `a`?\n\n"
        "<details>\n<summary>Yes, $x_1$</summary>\n\n**Right:** it is.\n\n</details>\n\n"
        "<details>\n<summary>No</summary>\n\n**Not so:** it is.\n\n</details>",
    ),
    "mistakes": (
        ":::{mistakes} shares\n:::",
        "<details>\n<summary>Common mistakes</summary>\n\nEach of these has led to a wrong answer:\n\n"
        "- A share is a weight divided by the largest weight.\n"
        "- Nothing shared among all is nothing for each.\n\n</details>",
    ),
    "the references that the page cites": (
        ":::{bibliography}\n:::",
        "- Donald E. Knuth (1997). The Art of Computer Programming, Volume 2: "
        "Seminumerical Algorithms. *Addison-Wesley*.",
    ),
}

BOOK = {
    "math stays": ("```{math}\n:label: sum\na\n```", ":::{math}\n:label: sum\na\n:::"),
    "a reference to an exercise is a link": (
        "{numref}`shares` [so](#shares)",
        "[Exercise 1.2](#exercise-1-2) [so](#exercise-1-2)",
    ),
    "a reference to an exercise in other words": (
        "{numref}`task %s <shares>` {numref}`task {number} <shares>`",
        "[task 1.2](#exercise-1-2) [task 1.2](#exercise-1-2)",
    ),
    "a link to an exercise by its page": ("[so](../01-tiny/tiny.md#shares)", "[so](#exercise-1-2)"),
    "a link to a section by its page": ("[on](../02-more/more.md#beyond)", "[on](#beyond)"),
    "other references stay": (
        "{numref}`parts` {eq}`sum` [](#adding)",
        "{numref}`parts` {eq}`sum` [](#adding)",
    ),
    "another chapter is a page of the book": ("{doc}`02-more`", "{doc}`More </chapters/02-more/more>`"),
    "a dropdown stays": (
        ":::{admonition} A\n:class: dropdown\n{numref}`shares`\n:::",
        ":::{admonition} A\n:class: dropdown\n[Exercise 1.2](#exercise-1-2)\n:::",
    ),
    "an outer fence is longer than an inner one": (
        "::::{note}\n:::{tip}\na\n:::\n::::",
        "::::{note}\n:::{tip}\na\n:::\n::::",
    ),
    "mistakes are a dropdown": (
        ":::{mistakes} shares\n:::",
        ":::{admonition} Common mistakes\n:class: mistakes dropdown\nEach of these has led to a wrong answer:\n\n"
        "- A share is a weight divided by the largest weight.\n"
        "- Nothing shared among all is nothing for each.\n:::",
    ),
    "comments of the author go": ("One.\n\n% a secret\n\nTwo.", "One.\n\n\n\nTwo."),
    "code stays": ("```python\n{numref}`shares`\n```", "```python\n{numref}`shares`\n```"),
}


@pytest.fixture(params=SHOWN)
def shown(request):
    return SHOWN[request.param]


def test_a_notebook_shows(mini, shown):
    mini.second_chapter()
    written, expected = shown
    form = NotebookForm(mini.course, load_page(mini.course, mini.chapter))
    assert form.cell(written)[0] == expected


@pytest.mark.parametrize("name", BOOK)
def test_the_book_shows(mini, name):
    mini.second_chapter()
    written, expected = BOOK[name]
    form = BookForm(mini.course, load_page(mini.course, mini.chapter))
    assert form.cell(written) == expected


def test_an_exercise_card_in_a_notebook_and_in_the_book(mini):
    page = load_page(mini.course, mini.chapter)
    card = mini.page.read_text().split("parts of a whole")[-1]
    card = card[card.index(":::{exercise} Each") : card.index("shares are equal.\n:::") + len("shares are equal.\n:::")]
    assert (
        NotebookForm(mini.course, page)
        .cell(card)[0]
        .startswith(
            '<a id="shares"></a>\n\n> **Exercise 1.2: Each weight\'s share**\n>\n'
            "> *difficulty ●●○○○ · 5 minutes · 2 points · builds on 1.1*\n>\n> Write `shares(weights)`"
        )
    )
    assert (
        BookForm(mini.course, page)
        .cell(card)
        .startswith(
            ":::{admonition} Exercise 1.2: Each weight's share\n:class: exercise\n:name: exercise-1-2\n"
            "*difficulty ●●○○○ · 5 minutes · 2 points · builds on 1.1*\n\nWrite"
        )
    )


def test_accents_in_names_and_three_authors(mini):
    bib = mini.root / "book" / "references.bib"
    bib.write_text(
        bib.read_text()
        + textwrap.dedent(r"""
        @article{gruen,
          author = {Gr{\"u}n, Anna and van der Berg, Jan and Wu, Li},
          title = {On {S}ums}, journal = {Sums}, year = {2001}, doi = {10.1/x}
        }
        @article{two, author = {A, B and {van der} C, D}, title = {T}, journal = {J}, year = {2002}, url = {https://e.org}}
        """)
    )
    form = NotebookForm(mini.course, load_page(mini.course, mini.chapter))
    assert form.cell("{cite}`gruen,two`")[0] == (
        "([Grün et al., 2001](https://doi.org/10.1/x); [A and van der C, 2002](https://e.org))"
    )
    mini.edit("solutions/01-tiny/tiny.md", "A sum is", "A {cite}`gruen` is")
    form = NotebookForm(mini.course, load_page(mini.course, mini.chapter))
    assert (
        "- Anna Grün, Jan van der Berg and Li Wu (2001). On Sums. *Sums*. <https://doi.org/10.1/x>."
        in form.cell(":::{bibliography}\n:::")[0]
    )
