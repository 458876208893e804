"""What feature maps are worth, against NumPy in float64, in one to three dimensions; and the maps of whole networks."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from xaicore.errors import InvalidParameter
from xaicore.testing.models import convolutional, float64_twin, inputs_of, randomise, two_towers
from xaicore_cam.weights import ByActivation, Elementwise, FirstComponent, HeadWeights, MeanGradient, PlusPlus

SHAPES = [(3, 7, 4), (3, 5, 6, 4), (3, 2, 3, 4, 5)]


def over(a):
    """Return the axes of positions."""
    return tuple(range(1, a.ndim - 1))


def plus_plus(a, g):
    """Chattopadhay et al. 2018, eq. 19, term by term."""
    total = a.sum(over(a), keepdims=True)
    share = g**2 / (2 * g**2 + g**3 * total)
    return ((share * np.maximum(g, 0)).sum(over(a), keepdims=True) * a).sum(-1)


def by_activation(a, g):
    """Fu et al. 2020, eq. 9."""
    return ((a * g).sum(over(a), keepdims=True) / a.sum(over(a), keepdims=True) * a).sum(-1)


def first_component(a, g):  # one signature for all
    """NumPy's singular value decomposition of each sample."""
    rows = a.reshape(len(a), -1, a.shape[-1])
    found = np.stack([r @ np.linalg.svd(r, full_matrices=False)[2][0] for r in rows])
    return (found * np.sign(found.sum(1, keepdims=True))).reshape(a.shape[:-1])


ORACLES = {
    MeanGradient(): lambda a, g: (g.mean(over(a), keepdims=True) * a).sum(-1),
    HeadWeights(): lambda a, g: (g.sum(over(a), keepdims=True) * a).sum(-1),
    PlusPlus(): plus_plus,
    Elementwise(): lambda a, g: (a * g).sum(-1),
    Elementwise(positive=True): lambda a, g: (a * np.maximum(g, 0)).sum(-1),
    ByActivation(): by_activation,
    FirstComponent(): first_component,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weights", ORACLES)
def test_maps_follow_their_formula(weights, shape):
    random = np.random.default_rng(0)
    a, g = random.random(shape), random.normal(size=shape)
    found = weights(tf.constant(a), tf.constant(g))
    # Float64; eigenvectors of a Gram matrix have half of its digits where eigenvalues are close, and these are not.
    np.testing.assert_allclose(found, ORACLES[weights](a, g), rtol=1e-8, atol=1e-10)


def test_no_gradient_and_no_activation_are_a_map_of_zeros():
    """Not NaN: denominators are zero."""
    a = tf.zeros((2, 3, 3, 4))
    for weights in ORACLES:
        np.testing.assert_array_equal(weights(a, a), 0)


def test_the_map_of_the_head_is_that_of_its_weights():
    """Zhou et al. 2016, eq. 2: sum_k W_kc A_k, which is h w times Grad-CAM."""
    x_in = keras.Input((9, 7, 3))
    maps = layers.Conv2D(5, 3, activation="relu", name="maps")(x_in)
    pooled = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(maps))
    model = float64_twin(randomise(keras.Model(x_in, layers.Dense(4, activation="softmax", name="head")(pooled))))
    x = inputs_of(model, 3)
    found = xaicore.explain("cam.cam(relu=False, upsample=False)", model, x, target=2).attributions
    mean = xaicore.explain("cam.gradcam(relu=False, upsample=False)", model, x, target=2).attributions

    a = keras.Model(model.inputs[0], model.get_layer("maps").output)(x).numpy()
    expected = a @ model.get_layer("head").kernel.numpy()[:, 2:3]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found, 7 * 5 * mean, rtol=1e-10, atol=1e-12)


def test_a_head_without_weights_of_its_own_is_refused():
    model = convolutional()  # flattens, and has two dense layers
    with pytest.raises(InvalidParameter, match=r"Flatten.*cam\.gradcam"):
        xaicore.get_analyzer("cam.cam").bind(model)


def headed(*after, size=(8, 8, 3)):
    """Return a network whose feature maps go through some layers."""
    maps = layers.Conv2D(4, 3, activation="relu", name="maps")
    return randomise(keras.Sequential([keras.Input(size), maps, *after]))


@pytest.mark.parametrize(
    ("after", "named"),
    [
        ([layers.AveragePooling2D(2), layers.Flatten(), layers.Dense(3)], "AveragePooling2D, Flatten, Dense"),
        ([layers.AveragePooling2D(4, strides=6), layers.Flatten(), layers.Dense(3)], "AveragePooling2D"),
        ([layers.GlobalMaxPooling2D(), layers.Dense(3)], "GlobalMaxPooling2D"),
        ([layers.GlobalAveragePooling2D(), layers.Dense(3, activation="tanh")], r"Dense \(tanh\)"),
        ([layers.GlobalAveragePooling2D(), layers.Dense(3), layers.ReLU()], "ReLU"),
        ([layers.Cropping2D(1), layers.GlobalAveragePooling2D(), layers.Dense(3)], "Cropping2D"),
    ],
)
def test_a_head_whose_weights_are_not_those_of_whole_maps_is_refused(after, named):
    with pytest.raises(InvalidParameter, match=f"{named}.*without activation"):
        xaicore.get_analyzer("cam.cam(at='maps')").plan(headed(*after))


@pytest.mark.parametrize(
    "pool",
    [
        [layers.GlobalAveragePooling2D(keepdims=True), layers.Flatten()],
        [layers.AveragePooling2D((6, 6)), layers.Reshape((4,))],
        [layers.Dropout(0.5), layers.GlobalAveragePooling2D()],
    ],
)
def test_other_ways_to_pool_all_positions_have_the_same_weights(pool):
    model = float64_twin(headed(*pool, layers.Dense(3, activation="softmax", name="head")))
    x = inputs_of(model, 2)
    found = xaicore.explain("cam.cam(relu=False, upsample=False)", model, x, 1).attributions
    a = keras.Model(model.inputs[0], model.get_layer("maps").output)(x).numpy()
    np.testing.assert_allclose(found, a @ model.get_layer("head").kernel.numpy()[:, 1:2], rtol=1e-10, atol=1e-12)


def test_the_map_of_the_head_is_one_of_logits():
    """The gradient of a probability is no weight of the head."""
    model = headed(layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax"))
    with pytest.raises(InvalidParameter, match="expected 'logit'"):
        xaicore.get_analyzer("cam.cam(score='probability')").plan(model)


def test_guided_gradcam_is_the_product():
    model = convolutional()
    x = inputs_of(model, 3)
    found = xaicore.explain("cam.guided_gradcam", model, x, target=1)
    coarse = xaicore.explain("cam.gradcam", model, x, target=1).attributions
    sharp = xaicore.explain("gradient.guided_backprop", model, x, target=1).attributions
    np.testing.assert_allclose(found.attributions, coarse * sharp, rtol=1e-6, atol=1e-9)
    at = xaicore.explain("cam.guided_gradcam(cam=cam.layercam(at='conv1'))", model, x, target=1)
    layer = xaicore.explain("cam.layercam(at='conv1')", model, x, target=1).attributions
    np.testing.assert_allclose(at.attributions, layer * sharp, rtol=1e-6, atol=1e-9)


def test_guided_gradcam_refuses_what_has_no_map_for_every_input():
    with pytest.raises(InvalidParameter, match="3 inputs"):
        xaicore.get_analyzer("cam.guided_gradcam").plan(two_towers())
    with pytest.raises(InvalidParameter, match="upsample=True"):
        xaicore.get_analyzer("cam.guided_gradcam(cam=cam.gradcam(upsample=False))").plan(convolutional())
    with pytest.raises(InvalidParameter, match="upsample=True"):
        xaicore.get_analyzer("cam.guided_gradcam(cam=cam.gradcam(upsample=False) | normalize)").plan(convolutional())
    for part in ("inner=gradient(at='conv1')", "cam=smoothgrad(gradient(at='conv1'))"):
        with pytest.raises(InvalidParameter, match="explains 'conv1'; expected attributions of the input"):
            xaicore.get_analyzer(f"cam.guided_gradcam({part})").plan(convolutional())
