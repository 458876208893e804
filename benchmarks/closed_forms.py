"""How near each optimizer of counterfactuals comes to the closed form: `python benchmarks/closed_forms.py`."""

from __future__ import annotations

import argparse
import importlib.util
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FORMS = Path(__file__).parents[1] / "plugins" / "xaicore-cf" / "tests" / "test_closed_forms.py"
OTHERS = ("cf.nelder_mead", "cf.powell", "cf.evolution")


def main() -> None:
    """Print the table: for each optimizer and cost the largest excess, without and with a box and held features."""
    spec = importlib.util.spec_from_file_location("closed_forms", FORMS)
    forms = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(forms)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--optimizers", nargs="*", default=[*forms.BY_GRADIENT, *OTHERS])
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    given = parser.parse_args()
    costs = ("cf.l2", "cf.l1", "cf.lmad")
    print("| optimizer | " + " | ".join(f"`{c}` | box, held" for c in costs) + " |")
    print("|---|" + "---|" * 2 * len(costs))
    for optimizer in given.optimizers:
        cells = [
            max(
                forms.excess(optimizer, kind, given.dtype, cost, box=limited, held=limited).max()
                for kind in ("linear", "logistic")
            )
            for cost in costs
            for limited in (False, True)
        ]
        print(f"| `{optimizer}` | " + " | ".join(f"{cell:.0e}" for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
