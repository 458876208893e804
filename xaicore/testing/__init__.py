"""The battery that every registered name passes: laws as functions, to be run over names by a test suite."""

from xaicore.testing.battery import ANALYZER_LAWS, FILTER_LAWS, expressions

__all__ = ["ANALYZER_LAWS", "FILTER_LAWS", "expressions"]
