"""Peak memory of methods that run many copies, and of long streams: each in a process of its own.

python benchmarks/memory.py [--markdown FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# (label, analyzer, samples, batch, whether results go to a sink)
ROWS = (
    ("IG, 20 steps", "ig(n_steps=20)", 256, 256, False),
    ("IG, 200 steps", "ig(n_steps=200)", 256, 256, False),
    ("SmoothGrad, 20 copies", "smoothgrad(n=20)", 256, 256, False),
    ("SmoothGrad, 200 copies", "smoothgrad(n=200)", 256, 256, False),
    ("stream of 5,000 samples into a sink", "gradient", 5_000, 250, True),
    ("stream of 50,000 samples into a sink", "gradient", 50_000, 250, True),
    ("counterfactuals of 1,000 rows into a sink", "cf(max_iter=100)", 1_000, 250, True),
    ("counterfactuals of 10,000 rows into a sink", "cf(max_iter=100)", 10_000, 250, True),
)


def one(index: int) -> int:
    """Return the peak in bytes of one row, the model's first call included."""
    import numpy as np
    from bench import small_cnn, tabular_mlp

    import xaicore

    _, expression, samples, batch, sink = ROWS[index]
    model = tabular_mlp() if expression.startswith("cf") else small_cnn()
    random = np.random.default_rng(0)

    def batches() -> object:
        for _ in range(samples // batch):
            yield random.random((batch, *model.input_shape[1:]), np.float32)

    seen = []
    xaicore.explain(expression, model, batches(), 3, verbose=0, sink=(lambda e: seen.append(len(e))) if sink else None)
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", type=pathlib.Path)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(one(options.one)))
        return
    lines = ["| CNN 28x28, or MLP for counterfactuals | peak memory of the process |", "|---|---|"]
    for index, row in enumerate(ROWS):
        command = [sys.executable, __file__, "--one", str(index)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # our own command
        lines.append(f"| {row[0]} | {int(done.stdout.splitlines()[-1]) / 2**20:.0f} MB |")
    text = "\n".join([*lines, ""])
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
