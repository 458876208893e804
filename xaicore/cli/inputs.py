"""What is to be explained, from files: arrays as they are, pictures through a named preprocessing."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import attrs

from xaicore.errors import InputShape, InvalidArgument, UnreadableInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from xaicore.cli.preprocess import Preprocess
    from xaicore.tabular import Columns

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
ARRAYS = (".npy", ".npz")
TABLE = ".csv"
PICTURE_AXES = 3
AS_GIVEN = "none (arrays taken as they are)"


@attrs.frozen(eq=False)
class Inputs:
    """What a model is given, and what a person is shown.

    x: array (batch, *features), or a dict of arrays by the name of the model's input.
    pictures: one (height, width, 1 or 3) per sample, 0..255, red first, shaped like the sample; empty for arrays.
    preprocess: the canonical text of what was done to the pictures, or to the columns of a table.
    columns: of the table that x was made of; None for anything else.
    """

    x: np.ndarray | dict[str, np.ndarray]
    pictures: tuple[np.ndarray, ...]
    preprocess: str
    columns: Columns | None = None

    @property
    def batch(self) -> int:
        """The number of samples."""
        x = next(iter(self.x.values())) if isinstance(self.x, dict) else self.x
        return len(x)


def read_inputs(
    paths: Sequence[str | pathlib.Path],
    preprocess: Preprocess | None,
    shape: tuple[int | None, ...] | None = None,
    columns: Columns | None = None,
) -> Inputs:
    """Return one array file, one table, or pictures as one batch.

    Args:
        paths: One ``.npy`` or ``.npz``, one ``.csv``, or any number of pictures.
        preprocess: Needed for pictures, refused for arrays and tables.
        shape: Shape of a sample that the model takes; only the messages use it.
        columns: Needed for a table, refused for anything else.

    Raises:
        UnreadableInput: a file is missing, has another format, or holds pickled objects.
        InvalidArgument: the preprocessing is missing, or given where it does not belong.
        InputShape: the preprocessing makes another shape than the model takes.
    """
    found = [pathlib.Path(p) for p in paths]
    for path in found:
        _check_file(path)
    arrays = [p for p in found if p.suffix.lower() in (*ARRAYS, TABLE)]
    if arrays and len(found) > 1:
        raise InvalidArgument(
            f"Given {len(found)} files, {arrays[0]} among them. "
            "Expected one array file, one table, or one or more pictures."
        )
    if columns is not None and not (arrays and arrays[0].suffix.lower() == TABLE):
        raise InvalidArgument(f"--columns is for tables ({TABLE}); given {found[0]}. Leave it out.")
    if arrays and arrays[0].suffix.lower() == TABLE:
        return _of_table(arrays[0], preprocess, columns, shape)
    if arrays:
        return _of_array(arrays[0], preprocess)
    return _of_pictures(found, preprocess, shape)


def read_array(path: pathlib.Path) -> np.ndarray | dict[str, np.ndarray]:
    """Return the array of a ``.npy``, or of a ``.npz`` its one array or a dict by name.  Pickles are refused.

    Raises:
        UnreadableInput: the file is no such file, is empty, or holds Python objects.
    """
    import numpy as np

    try:
        with path.open("rb") as stream:  # numpy leaves a broken .npz open
            loaded = np.load(stream, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            named = {name: loaded[name] for name in loaded.files}
    except Exception as error:  # a broken file raises whatever its first wrong byte leads to
        if "pickle" in str(error):
            raise UnreadableInput(
                f"{path} holds pickled Python objects, which run code when they are read. It is refused. "
                "Expected arrays of numbers: save them with `np.save(path, np.asarray(x, 'float32'))`."
            ) from error
        raise UnreadableInput(f"numpy cannot read {path}: {type(error).__name__}: {error}") from error
    if not named:
        raise UnreadableInput(f"{path} holds no array.")
    return next(iter(named.values())) if len(named) == 1 else named


def read_picture(path: pathlib.Path) -> np.ndarray:
    """Return a picture as float32 (height, width, 1 or 3), 0..255, turned upright; transparent parts become white.

    Raises:
        UnreadableInput: Pillow cannot read it.
    """
    import numpy as np
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened)
            if picture.mode.startswith(("I", "F")):
                raise UnreadableInput(
                    f"{path} has pixels of more than 8 bits (mode {picture.mode}), whose range is not known. "
                    "Expected 8 bits per channel: convert it, or give the numbers as .npy."
                )
            if picture.has_transparency_data:
                coloured = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", coloured.size, "white"), coloured)
            array = np.asarray(picture if picture.mode == "L" else picture.convert("RGB"), np.float32)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, UnreadableInput):
            raise
        raise UnreadableInput(f"Pillow cannot read the picture {path}: {error}") from error
    return array[..., None] if array.ndim < PICTURE_AXES else array


def read_labels(path: str | pathlib.Path) -> tuple[str, ...]:
    """Return the names of the classes, in order: a text file with one per line, or a JSON list.

    Raises:
        UnreadableInput: there is no such file, or it holds something else.
    """
    import json

    path = pathlib.Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        labels = json.loads(text) if path.suffix.lower() == ".json" else text.splitlines()
    except (OSError, ValueError) as error:
        raise UnreadableInput(f"Cannot read the labels {path}: {error}") from error
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise UnreadableInput(f"{path} is no list of names. Expected one name per line, or a JSON list of texts.")
    while labels and not labels[-1].strip():
        labels.pop()  # a text file may end in empty lines; one in between is a class without a name
    if not labels:
        raise UnreadableInput(f"{path} holds no name. Expected one name per line, in the order of the model's outputs.")
    return tuple(label.strip() for label in labels)


def _check_file(path: pathlib.Path) -> None:
    if not path.is_file():
        raise UnreadableInput(f"There is no input file {path}.")
    if path.suffix.lower() not in (*ARRAYS, TABLE, *PICTURES):
        raise UnreadableInput(
            f"{path} ends in {path.suffix or 'nothing'!r}. Expected an array ({', '.join(ARRAYS)}), "
            f"a table ({TABLE}) or a picture ({', '.join(PICTURES)})."
        )


def _of_array(path: pathlib.Path, preprocess: Preprocess | None) -> Inputs:
    if preprocess is not None:
        raise InvalidArgument(
            f"--preprocess is for pictures; {path} holds numbers, which are taken as they are. "
            "Leave it out, or give pictures."
        )
    return Inputs(read_array(path), (), AS_GIVEN)


def _of_table(
    path: pathlib.Path, preprocess: Preprocess | None, columns: Columns | None, shape: tuple[int | None, ...] | None
) -> Inputs:
    from xaicore.cli.tables import read_rows

    if preprocess is not None:
        raise InvalidArgument(f"--preprocess is for pictures; {path} is a table, whose columns --columns describes.")
    if columns is None:
        raise InvalidArgument(
            f"{path} is a table, and needs --columns: a YAML file that says how the model was given each column, "
            "`- {name: age, low: 17, high: 90}`, `- {name: hours, mean: 40.4, std: 12.3, integer: true}`, "
            "`- {name: job, values: [clerk, driver]}`, in the order of the model's features."
        )
    if shape is not None and not fits((len(columns.names),), shape):
        raise InputShape(
            f"--columns makes {len(columns.names)} features ({', '.join(columns.names[:6])}, ...); "
            f"the model takes {shape}."
        )
    said = "; ".join(map(str, columns.columns))
    return Inputs(read_rows(path, columns), (), said, columns)


def _of_pictures(
    paths: Sequence[pathlib.Path], preprocess: Preprocess | None, shape: tuple[int | None, ...] | None
) -> Inputs:
    import numpy as np

    if preprocess is None:
        raise InvalidArgument(
            "Pictures need --preprocess: a wrong size, scale or order of channels gives a wrong heatmap without a "
            f"word. How was the model trained? {_example(shape)}"
        )
    if shape is not None and not fits(preprocess.shape, shape):
        raise InputShape(
            f"--preprocess {str(preprocess)!r} makes samples of shape {preprocess.shape}; "
            f"the model takes {shape}. {_example(shape)}"
        )
    pictures = [read_picture(path) for path in paths]
    return Inputs(
        np.stack([preprocess.prepare(p) for p in pictures]),
        tuple(preprocess.pixels(p) for p in pictures),
        str(preprocess),
    )


def fits(made: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    """Tell whether samples of a shape are what a model takes, None for any length."""
    return len(made) == len(shape) and all(s in (None, m) for m, s in zip(made, shape, strict=True))


def _example(shape: tuple[int | None, ...] | None) -> str:
    if shape is None or len(shape) != PICTURE_AXES or shape[-1] not in {1, 3}:
        return "See `xaicore explain --help` for the grammar."
    height, width = (224 if n is None else n for n in shape[:2])
    channels = "gray" if shape[-1] == 1 else "rgb"
    return f"For example `--preprocess {height}x{width},{channels},scale=0..1`, if it was trained on 0..1."
