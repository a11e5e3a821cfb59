"""Trains a small network by the published airbench94.py: PROGRAM FILE, prints results.

Needs PyTorch. FILE is `legacy/airbench94.py` of
https://github.com/KellerJordan/cifar10-airbench, commit f1c599c. It runs in double
precision on a processor, with the images, weights and batches of `make_inputs`. Images
are neither flipped nor shifted.
"""

import itertools
import sys
import types
import unittest.mock

import numpy as np

BATCH, EPOCHS, RATE, DECAY, WIDTHS = 20, 1.8, 40.0, 0.153, (32, 48, 48)


def make_inputs():
    """Images (100, 32, 32, 3) of bytes, their classes, and weights by PyTorch's name.

    Kernels have the shapes of Keras; biases and statistics start as usual.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (100, 32, 32, 3), "uint8")
    shapes = {"0.weight": (2, 2, 3, 24)}
    for block, (before, after) in enumerate(itertools.pairwise((24, *WIDTHS)), start=2):
        shapes[f"{block}.conv1.weight"] = (3, 3, before, after)
        shapes[f"{block}.conv2.weight"] = (3, 3, after, after)
    shapes["7.weight"] = (WIDTHS[-1], 10)
    weights = {
        name: rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))
        for name, shape in shapes.items()
    }
    return images, rng.integers(0, 10, 100), weights


def main(path):
    import torch

    images, classes, weights = make_inputs()
    pixels = torch.tensor(images).permute(0, 3, 1, 2).double() / 255
    labels = torch.tensor(classes)

    mock = unittest.mock.MagicMock()
    sys.modules |= {"torchvision": mock, "torchvision.transforms": mock}
    torch.cuda.Event = torch.cuda.synchronize = mock
    with open(path) as file:
        text = file.read()
    text = text.replace("net.half().cuda()", "net.double()")
    text = text.replace("mod.float()", "mod.double()")
    text = text.replace("torch.float)", "torch.double)")
    program = types.ModuleType("airbench94")
    exec(compile(text, path, "exec"), program.__dict__)
    opt, widths = program.hyp["opt"], program.hyp["net"]["widths"]
    opt |= {"train_epochs": EPOCHS, "batch_size": BATCH, "lr": RATE}
    opt |= {"weight_decay": DECAY, "whiten_bias_epochs": 1}
    widths |= dict(zip(widths, WIDTHS, strict=True))
    original, losses = program.make_net, []

    def make_net():
        net = original()
        for name, value in weights.items():
            back = (3, 2, 0, 1) if value.ndim == 4 else (1, 0)
            net.state_dict()[name].copy_(torch.tensor(value.transpose(back)))
        return net

    class Loader:
        def __init__(self, *_, **__):
            self.images, self.labels = pixels, labels

        def normalize(self, x):
            mean, std = program.CIFAR_MEAN, program.CIFAR_STD
            return (x - mean.view(3, 1, 1)) / std.view(3, 1, 1)

        def __len__(self):
            return len(labels) // BATCH

        def __iter__(self):
            images = self.normalize(pixels).split(BATCH)
            return zip(images, labels.split(BATCH), strict=True)

    class Loss(torch.nn.CrossEntropyLoss):
        def forward(self, *inputs):
            found = super().forward(*inputs)
            losses.append(found.mean().item())
            return found

    def evaluate(model, loader, tta_level):
        if tta_level == 2:
            print("losses", *(f"{loss:.6f}" for loss in losses))
            logits = program.infer(model, loader, tta_level)[0]
            print("logits", *(f"{logit:.6f}" for logit in logits))
        return 0.0

    program.make_net, program.CifarLoader = make_net, Loader
    program.init_whitening_conv = program.print_training_details = mock
    program.nn.CrossEntropyLoss, program.evaluate = Loss, evaluate
    program.main(0)


if __name__ == "__main__":
    main(sys.argv[1])
