"""Of a page's untagged cells only what the exercises read is run."""

from grader.authoring.cell_names import bound_names, parse_cell
from grader.proving.slicing import needed_parts


def test_imports_stay_and_an_experiment_goes():
    parts = needed_parts(["import math\nresult = train_for_hours()\nprint(result)"], ["def f(): return math.pi"], [])
    assert parts == ["import math"]


def test_what_a_needed_statement_reads_is_needed_as_well():
    cells = ["size = 4", "other = 5", "def grid():\n    return [0] * size", "table = grid()"]
    parts = needed_parts(cells, ["assert f(table)"], [])
    assert parts == ["size = 4", "", "def grid():\n    return [0] * size", "table = grid()"]


def test_changes_in_place_of_a_needed_name_are_kept():
    cells = ["counts = {}", "counts['a'] = 1", "counts.update(b=2)", "counts.x = 3", "others.update(b=2)"]
    assert needed_parts(cells, ["f(counts)"], []) == [*cells[:4], ""]


def test_a_name_that_an_answer_defines_is_not_looked_for_elsewhere():
    cells = ["softmax = lab.checkpoint('1.3', softmax)", "import lab"]
    assert needed_parts(cells, ["softmax([1])"], ["softmax"]) == ["", "import lab"]


def test_a_call_on_an_imported_module_is_no_change_of_it():
    assert needed_parts(["import lab\nlab.style()\nlab.seed(1)"], ["lab.device()"], []) == ["import lab"]


def test_a_compound_statement_is_kept_whole():
    cell = "for x in range(3):\n    table[x] = x\n    extra = x"
    assert needed_parts(["table = {}", cell, "print(extra)"], ["f(table)"], []) == ["table = {}", cell, ""]


def test_names_inside_functions_and_comprehensions_are_not_bound_outside():
    code = "def f(a):\n    inner = a\nb = [x for x in a]\nc = lambda z: z"
    assert {name for node in parse_cell(code).body for name in bound_names(node)} == {"f", "b", "c"}


def test_magics_can_be_read():
    assert needed_parts(["%matplotlib inline\nimport math\n!ls"], ["math.pi"], []) == ["import math"]


def test_a_local_that_shares_its_name_with_an_experiment_does_not_pull_it_in():
    body = "text = 'abc'\n    for n in range(3):\n        assert f(text) == n, [k for k in text]"
    checks = f"def check(f):\n    {body}\ncheck(f)"
    assert needed_parts(["text = train_for_hours()\nn = 3\nk = 4"], [checks], ["f"]) == [""]


def test_a_name_that_a_check_binds_itself_is_not_looked_for_elsewhere():
    assert needed_parts(["got = train_for_hours()"], ["got = f(1)\nassert got"], ["f"]) == [""]


def test_a_name_read_before_it_is_bound_is_looked_for():
    assert needed_parts(["x = 1"], ["x = x + 1"], []) == ["x = 1"]
