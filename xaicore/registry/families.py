"""The families that the project maintains: what `lrp` alone stands for, and what to install for it."""

from __future__ import annotations

from types import MappingProxyType

# family -> the member that answers to the family alone, None where there is no such member
FAMILIES = MappingProxyType(
    {
        "cam": "gradcam",
        "cf": "counterfactual",
        "compat": None,
        "filter": None,
        "gradient": "gradient",
        "ig": "integrated_gradients",
        "lrp": "composite",
        "metrics": None,
        "perturbation": "occlusion",
        "pipeline": None,
        "ray": None,
    }
)
# First words of names of older systems, and the family that answers to them: `deep_taylor.bounded`.
FORMER = MappingProxyType({"deep_taylor": "lrp", "pattern": "lrp"})


def default_of(family: str) -> str | None:
    """Return the full name that a family alone stands for; a third party's family ``acme`` is ``acme.acme``."""
    member = FAMILIES.get(family, family)
    return None if member is None else f"{family}.{member}"
