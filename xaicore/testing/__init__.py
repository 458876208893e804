"""The battery that every registered name passes: laws as functions, to be run over names by a test suite.

Parametrize a test by ``[(law, name) for kind, laws in LAWS.items() for law in laws for name in expressions(kind)]`` and
call ``law(name)``.
"""

from collections.abc import Mapping

from xaicore.testing.battery import ANALYZER_LAWS, Law, expressions
from xaicore.testing.parts import COST_LAWS, FILTER_LAWS, OPTIMIZER_LAWS, QUADRATURE_LAWS, RULE_LAWS

__all__ = ["ANALYZER_LAWS", "FILTER_LAWS", "LAWS", "Law", "expressions"]

# kind -> its laws
LAWS: Mapping[str, tuple[Law, ...]] = {
    "analyzer": ANALYZER_LAWS,
    "cost": COST_LAWS,
    "filter": FILTER_LAWS,
    "optimizer": OPTIMIZER_LAWS,
    "quadrature": QUADRATURE_LAWS,
    "rule": RULE_LAWS,
}
