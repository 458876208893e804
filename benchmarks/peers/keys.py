"""What is compared: expressions of xaicore, which are the keys of the methods of every peer."""

from __future__ import annotations

GRADIENT = "gradient"
GUIDED = "gradient.guided_backprop"
EPSILON = "lrp.epsilon(epsilon=1e-06)"
ALPHA2BETA1 = "lrp.alpha2beta1"
ALPHA1BETA0 = "lrp.alpha1beta0"
ZPLUS = "lrp.zplus"
COMPOSITE = "lrp.composite(conv=lrp.alpha1beta0, dense=lrp.epsilon(epsilon=1e-06))"
SMOOTH = "smoothgrad(n=32)"
INTEGRATED = "ig.gausslegendre(n_steps=50)"
COUNTERFACTUAL = "cf.counterfactual"
COUNTERFACTUAL_L1 = "cf.counterfactual(cost=cf.l1)"
