"""The library's shapes and types are checked at run time in these tests, and only here."""

import sys
import types

import beartype
from jaxtyping import install_import_hook

# An int may stand where a float is asked for (PEP 484's numeric tower); the hook wants a checker by name.
checker = types.ModuleType("byhand_checker")
checker.check = beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))  # type: ignore[attr-defined]
sys.modules["byhand_checker"] = checker
install_import_hook("byhand", "byhand_checker.check")
