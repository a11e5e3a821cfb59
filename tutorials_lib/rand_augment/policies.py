"""The magnitude of each RandAugment operation at each level, in both policies.

The paper gives no ranges, and its authors' code has two sets of them; the chapter
noisy_student shows both in a table. Policy `"paper"` matches neither exactly.
"""

import numpy as np

from tutorials_lib.support.checks import check_choice

OPERATIONS = (
    "autocontrast", "equalize", "rotate", "solarize", "color", "posterize", "contrast",
    "brightness", "sharpness", "shear_x", "shear_y", "translate_x", "translate_y",
)  # fmt: skip
POLICIES = ("article", "paper")
LEVELS = 10


def list_magnitudes(policy: str) -> dict[str, list]:
    """Lists the magnitude of each operation at each level.

    Args:
        policy: `"article"` solarizes next to nothing, its equalize changes nothing, and
            it fills with black, but with grey in rotations. `"paper"` fills with grey.

    Returns:
        Dict from operation to a list of ten numbers: degrees, shares of the image's
        size, a factor's differences from 1, bits kept, or thresholds. For an operation
        without strength, all ten are None.
    """
    check_choice("policy", policy, POLICIES)
    article = policy == "article"
    ends = {
        "rotate": (0, 360 if article else 30),
        "solarize": (256, 231 if article else 0),
        "color": (0, 0.9),
        "contrast": (0, 0.5 if article else 0.9),
        "brightness": (0, 0.3 if article else 0.9),
        "sharpness": (0, 0.9),
        "shear_x": (0, 0.3),
        "shear_y": (0, 0.3),
        "translate_x": (0, 0.2 if article else 0.33),
        "translate_y": (0, 0.2 if article else 0.33),
    }
    values = {name: np.linspace(*pair, LEVELS).tolist() for name, pair in ends.items()}
    values["posterize"] = np.round(np.linspace(8, 4, LEVELS)).tolist()
    return {name: values.get(name, [None] * LEVELS) for name in OPERATIONS}
