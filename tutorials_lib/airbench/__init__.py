"""The parts of airbench: 94% on CIFAR-10 in ten epochs.

Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv:2404.00498, and its
code, https://github.com/KellerJordan/cifar10-airbench: `airbench94.py`, and the larger
`airbench95.py` and `airbench96.py`. That code is PyTorch in half precision; where the
defaults of Keras differ, this package follows PyTorch and says so.
"""

from tutorials_lib.airbench.images import (
    CIFAR_MEAN,
    CIFAR_STD,
    FLIPS,
    VIEWS,
    AirbenchBatches,
    normalise_images,
    predict_views,
    shift_images,
)
from tutorials_lib.airbench.network import (
    IdentityStart,
    ScaledBias,
    build_airbench_net,
    whiten_patches,
)
from tutorials_lib.airbench.training import (
    AirbenchSGD,
    Lookahead,
    StopAfter,
    Triangle,
    convert_rates,
)
