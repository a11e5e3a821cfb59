"""RandAugment: operations drawn at random for each image, equal to Pillow's.

Cubuk, Zoph, Shlens and Le, "RandAugment: Practical automated data augmentation with a
reduced search space", arXiv:1909.13719, in two versions: that of the article "Noisy
Student on CIFAR-10" and that of the paper.
"""

from tutorials_lib.rand_augment.layer import (
    RandAugment,
    apply_operations,
    stretch_images,
)
from tutorials_lib.rand_augment.policies import (
    LEVELS,
    OPERATIONS,
    POLICIES,
    list_magnitudes,
)
