"""An optimizer of Keras as a rule of descent: its step as a pure function, each sample with a state of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import optional, real
from xaicore_cf.errors import RowsCoupled
from xaicore_cf.minimize import Descent

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from xaicore.protocols import Tensors

_BY_NAME = 0.1  # learning rate of an optimizer that is given by name: Keras's own are for training
# Settings that act on the whole of a variable, or on what was collected over several steps.
_REFUSED = ("clipnorm", "global_clipnorm", "use_ema", "gradient_accumulation_steps", "loss_scale_factor")

# Tried once, in the tests: they are taken by name without asking Keras, which takes seconds to import.
_ROW_WISE = frozenset({"adadelta", "adagrad", "adam", "adamax", "adamw", "ftrl", "lion", "nadam", "rmsprop", "sgd"})
_COUPLED = {
    "lamb": "scales its step by norms over all rows",
    "adafactor": "keeps means for all rows together",
    "muon": "makes the whole of its variable orthogonal",
    "loss_scale_optimizer": "scales the loss of all rows as one",
    "lossscaleoptimizer": "scales the loss of all rows as one",
}


def _written(value: Any) -> str:
    """Return an optimizer as text: its name, or its configuration as JSON."""
    if isinstance(value, str):
        return value if value.startswith("{") else value.lower()
    import keras

    if not isinstance(value, keras.optimizers.Optimizer):
        raise InvalidParameter(
            f"Given optimizer={value!r:.80}; expected a Keras optimizer or its name, such as 'adam'. An optimizer that "
            "is written anew with every call is given to nobody: Keras binds it to the first variables that it meets."
        )
    return json.dumps(keras.optimizers.serialize(value), sort_keys=True)


@attrs.frozen
class KerasDescent(Descent):
    """The step of an optimizer of Keras, each sample for itself.

    The optimizer is made anew from its configuration for every search, and an instance that is given is only read.
    It may keep scalars and tensors like its variable; one that keeps anything else, or whose step for a row changes
    with the other rows, is refused when it is named: Lamb and Muon take norms of all rows, Adafactor means of all.

    Args:
        optimizer: A name, "adam", or an instance of ``keras.optimizers.Optimizer``.
        learning_rate: In units of the input; None: the instance's own, 0.1 for an optimizer by name.

    Raises:
        InvalidParameter: Keras knows no such optimizer.
        RowsCoupled: rows would not be independent.
    """

    optimizer: str = attrs.field(default="adam", converter=_written)
    learning_rate: float | None = attrs.field(default=None, converter=optional(real(above=0)))

    def __attrs_post_init__(self) -> None:
        """Refuse what couples rows, by its settings, its state, and by trying it."""
        if self._name.lower() in _COUPLED:
            raise RowsCoupled(
                f"{self._name} {_COUPLED[self._name.lower()]}; a search needs rows that are independent, because they "
                "leave the batch. cf.adam and its like are."
            )
        if self.optimizer not in _ROW_WISE:
            self._try()

    def _try(self) -> None:
        import numpy as np
        import tensorflow as tf

        optimizer, variable, _ = self._pure(2, "float32")
        for name in _REFUSED:
            if getattr(optimizer, name, None):
                raise RowsCoupled(f"{self._name} with {name}={getattr(optimizer, name)} acts on all rows as one.")
        for kept in _kept(optimizer):
            if tuple(kept.shape) not in {(), tuple(variable.shape)}:
                raise RowsCoupled(
                    f"{self._name} keeps {kept.name!r} of shape {tuple(kept.shape)} for all rows together; a search "
                    "needs a state per row, because rows leave the batch."
                )
        gradients = np.array([[3.0, -4.0], [0.5, 1.0]], np.float32)
        with tf.device("cpu"):
            together, alone = (
                self._tried(gradients),
                np.concatenate([self._tried(gradients[i : i + 1]) for i in range(2)]),
            )
        if not np.allclose(together, alone, rtol=1e-5, atol=1e-8):  # float32, three steps
            raise RowsCoupled(
                f"{self._name} makes another step of a row when other rows stand beside it; a search needs rows that "
                "are independent, because they leave the batch. cf.adam and its like are."
            )

    @property
    def _name(self) -> str:
        if not self.optimizer.startswith("{"):
            return self.optimizer
        try:
            return str(json.loads(self.optimizer)["class_name"])
        except (ValueError, KeyError, TypeError):  # what Keras makes of it is told when it is tried
            return self.optimizer

    def _tried(self, gradients: Any) -> Any:
        import numpy as np
        import tensorflow as tf

        x = tf.constant(gradients[:, ::-1] ** 3)  # of another size in each row, so that norms of all rows are none's
        state = self.init(x)
        for k in range(3):
            step, state = self.update(tf.constant(gradients) * (0.5 + k), state, x)
            x += step
        return np.asarray(x)

    def _made(self) -> keras.optimizers.Optimizer:
        import keras

        try:
            if self.optimizer.startswith("{"):
                described = json.loads(self.optimizer)
                found = keras.optimizers.deserialize(described)
                if isinstance(found, str):  # Keras 3.15 has no entry for Lamb, and hands back its name
                    found = getattr(keras.optimizers, found).from_config(described["config"])
            else:
                found = keras.optimizers.get(self.optimizer)
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidParameter(
                f"Keras makes no optimizer of {self.optimizer!r:.80}: {str(error).splitlines()[0]:.200} A class of "
                "your own is registered with keras.saving.register_keras_serializable."
            ) from error
        config = found.get_config()
        rate = self.learning_rate
        if rate is None and not self.optimizer.startswith("{"):
            rate = _BY_NAME
        return _pure_class(type(found)).from_config(config if rate is None else config | {"learning_rate": rate})

    def _pure(self, features: int, dtype: str) -> tuple[Any, Any, list[Any]]:
        """Return (optimizer, its one variable of one row, the variables that it keeps)."""

        def make() -> tuple[Any, Any, list[Any]]:
            import keras
            import numpy as np

            variable = keras.Variable(np.zeros((1, features), dtype), dtype=dtype)
            optimizer = self._made()
            optimizer.build([variable])
            return optimizer, variable, _kept(optimizer)

        # In a thread of its own: inside of a graph that is being traced no variable can be made, and these only lend
        # their names to what a scope holds.
        with ThreadPoolExecutor(max_workers=1) as pool:
            return pool.submit(make).result()

    def init(self, x: tf.Tensor) -> Tensors:
        """Return what the optimizer keeps, (batch, features) or (batch,) each."""
        import tensorflow as tf

        _, _, kept = self._pure(_features(x), x.dtype.name)
        rows = tf.shape(x)[0]
        with tf.init_scope():  # in a graph a variable has no value that can be told
            initial = [k.numpy() for k in kept]
        values = [(k, tf.constant(v)) for k, v in zip(kept, initial, strict=True)]
        return tuple(tf.repeat(v, rows, axis=0) if len(k.shape) else tf.fill([rows], v) for k, v in values)

    def update(self, gradient: tf.Tensor, state: Tensors, x: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Return the step to add to x (batch, features), and the new state."""
        import keras
        import tensorflow as tf

        optimizer, variable, kept = self._pure(_features(x), x.dtype.name)
        if optimizer.clipvalue is not None:
            gradient = tf.clip_by_value(gradient, -optimizer.clipvalue, optimizer.clipvalue)
        # Rows that are searched together have made as many steps; any row's scalars are everybody's.
        values = [s if len(k.shape) else s[0] for k, s in zip(kept, state, strict=True)]
        with keras.StatelessScope() as scope:
            optimizer.scope, optimizer.gradient, optimizer.variable = scope, gradient, variable
            for name, value in zip(kept, values, strict=True):
                scope.add_update((name, value))
            rate = tf.cast(tf.convert_to_tensor(optimizer.learning_rate), x.dtype)
            decay = 0.0 if optimizer.weight_decay is None else optimizer.weight_decay  # decoupled, before the step
            scope.add_update((variable, x - x * tf.constant(decay, x.dtype) * rate))
            optimizer._backend_update_step([gradient], [variable], rate)  # noqa: SLF001  # some do more there than in update_step
            step = scope.get_current_value(variable) - x
            scope.add_update((optimizer.iterations, scope.get_current_value(optimizer.iterations) + 1))
            after = [scope.get_current_value(k) for k in kept]
        rows = tf.shape(x)[:1]
        return step, tuple(a if len(k.shape) else tf.fill(rows, a) for k, a in zip(kept, after, strict=True))


def _features(x: tf.Tensor) -> int:
    if x.shape[1] is None:
        raise InvalidParameter("cf.keras takes samples of a fixed length; the model takes samples of any length.")
    return int(x.shape[1])


def _kept(optimizer: keras.optimizers.Optimizer) -> list[Any]:
    """Return the variables of an optimizer that change with its steps."""
    rate = getattr(optimizer, "_learning_rate", None)
    return [variable for variable in optimizer.variables if variable is not rate]


def _pure_class(own: type) -> type:
    """Return an optimizer's class whose assignments go to a scope instead of variables."""

    def write(self: Any, variable: Any, change: Callable[[Any], Any]) -> None:
        before = self.scope.get_current_value(variable)
        self.scope.add_update((variable, change(before)))

    def assign(self: Any, variable: Any, value: Any) -> None:
        import tensorflow as tf

        write(self, variable, lambda before: tf.cast(tf.convert_to_tensor(value), before.dtype))

    def assign_add(self: Any, variable: Any, value: Any) -> None:
        import tensorflow as tf

        write(self, variable, lambda before: before + tf.cast(tf.convert_to_tensor(value), before.dtype))

    def assign_sub(self: Any, variable: Any, value: Any) -> None:
        import tensorflow as tf

        write(self, variable, lambda before: before - tf.cast(tf.convert_to_tensor(value), before.dtype))

    def key(self: Any, variable: Any) -> int:  # noqa: ARG001  # a method
        return id(variable)  # in a scope the value of a variable is a tensor, which has no key

    def pairs(self: Any, _: Any) -> list[tuple[Any, Any]]:
        return [(self.gradient, self.variable)]  # Keras hands on the variables' values, which are tensors here

    def step(self: Any, _: Any, given: list[tuple[Any, Any]], rate: Any) -> None:
        for gradient, variable in given:
            self.update_step(gradient, variable, rate)

    written = {"assign": assign, "assign_add": assign_add, "assign_sub": assign_sub, "_var_key": key}
    written |= {"_all_reduce_sum_gradients": pairs, "_distributed_tf_update_step": step}
    return type(own.__name__, (own,), written)
