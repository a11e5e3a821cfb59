"""The `RandAugment` layer, and the passes over a batch that its operations share.

Three passes over a batch apply all thirteen operations: six look up a table of 256
values for each image and channel, five warp, two blend with another image. A pass
leaves images that drew another kind unchanged, and is skipped if no image drew its.

Grey values equal Pillow's, except where its sum falls short of an integer by the last
bit and is truncated one level lower: in autocontrast, and where a warp interpolates.
"""

import functools
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from tutorials_lib.rand_augment.policies import (
    LEVELS,
    OPERATIONS,
    POLICIES,
    list_magnitudes,
)
from tutorials_lib.rand_augment.transforms import (
    make_matrix,
    read_taps,
    tap_bicubic,
    tap_bilinear,
    tap_nearest,
)
from tutorials_lib.rand_augment.values import (
    VALUES,
    autocontrast,
    equalize,
    look_up,
    make_grey,
    mean_grey,
    mix,
    posterize,
    smooth,
    solarize,
)
from tutorials_lib.support.backend import Tensor, fuse
from tutorials_lib.support.checks import check_choice, check_images, check_whole

WARPS = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
BLENDS = ("color", "sharpness")
TABLES = tuple(name for name in OPERATIONS if name not in WARPS + BLENDS)


def stretch_images(images: Tensor) -> Tensor:
    """Stretches each image to the full range, as Keras 2's `array_to_img` does.

    Since keras-preprocessing 1.1.1 of May 2020, that function subtracts the image's
    lowest value, divides by the highest of the result, both over all channels, and
    truncates 255 times that to integers.

    Args:
        images: float array (n, height, width, channels).

    Returns:
        float32 tensor shaped like images: integers from 0 to 255, divided by 255. A
        constant image becomes 0.
    """
    images = ops.cast(images, "float32")
    images = images - ops.min(images, axis=(1, 2, 3), keepdims=True)
    highest = ops.max(images, axis=(1, 2, 3), keepdims=True)
    # One divisor per pixel: with one per image, XLA would multiply by its inverse,
    # whose rounding costs some pixels a grey level.
    divisor = ops.maximum(images, ops.where(highest > 0, highest, 1.0))
    return ops.floor(255 * (images / divisor)) / 255


@keras.saving.register_keras_serializable("tutorials_lib")
class RandAugment(keras.layers.Layer):
    """Applies operations to images in training, drawn anew for each image.

    The layer runs inside jit on TensorFlow and JAX. It takes floats from 0 to 1 and
    rounds them, before each operation and after, to Pillow's 256 grey values.

    Args:
        policy: `"article"` or `"paper"`, see `list_magnitudes`.
        operations: Number N of operations applied to each image in turn.
        level: Strength M of every operation, from 0 to 9. None draws it anew for each
            operation, as the article does.
        seed: Integer, or None to follow `keras.utils.set_random_seed`.
        stretch: Whether to apply `stretch_images` first, as in the article.
        **kwargs: Passed to `keras.layers.Layer`.
    """

    def __init__(
        self,
        policy: str = "article",
        operations: int = 2,
        level: int | None = None,
        seed: int | None = None,
        stretch: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.policy = check_choice("policy", policy, POLICIES)
        self.operations = check_whole("operations", operations, 1)
        self.level = level if level is None else check_whole("level", level, 0, 9)
        self.stretch = stretch
        self.seed_generator = keras.random.SeedGenerator(seed)

    def draw(self, n: int | Tensor) -> dict[str, Tensor]:
        """Draws an operation for each of n images: int32 tensors (n,) for `apply`.

        `operation` is an index into `OPERATIONS`; `sign`, 0 or 1, is the direction of
        an operation that has two.
        """

        def draw(high):
            return keras.random.randint((n,), 0, high, seed=self.seed_generator)

        level = draw(LEVELS)
        if self.level is not None:
            level = ops.full_like(level, self.level)
        return {"operation": draw(len(OPERATIONS)), "level": level, "sign": draw(2)}

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        """Applies the drawn operations to images (n, height, width, 3), 0 to 1."""
        return _compile_passes(self.policy)(images, drawn)

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """Augments images in training; otherwise returns them unchanged."""
        check_images("images", images, 3)
        if not training:
            return images
        if self.stretch:
            images = stretch_images(images)
        for _ in range(self.operations):
            images = self.apply(images, self.draw(ops.shape(images)[0]))
        return images


def apply_operations(
    images: ArrayLike,
    names: ArrayLike,
    levels: ArrayLike,
    signs: ArrayLike = 0,
    policy: str = "article",
) -> np.ndarray:
    """Applies chosen operations, one to each image, to see what they do.

    A single image, name, level or sign stands for all: one image and thirteen names
    give thirteen images.

    Args:
        images: float array (height, width, 3) or (n, height, width, 3), 0 to 1.
        names: One or n of `OPERATIONS`.
        levels: One or n levels from 0 to 9.
        signs: One or n of 0 and 1, see `RandAugment.draw`.
        policy: See `list_magnitudes`.

    Returns:
        float32 array (n, height, width, 3).
    """
    operations = [OPERATIONS.index(name) for name in np.atleast_1d(names)]
    images = np.reshape(images, (-1, *np.shape(images)[-3:]))
    chosen = np.broadcast_arrays(np.arange(len(images)), operations, levels, signs)
    number, *drawn = (each.astype("int32") for each in chosen)
    parts = dict(zip(("operation", "level", "sign"), drawn, strict=True))
    return ops.convert_to_numpy(RandAugment(policy).apply(images[number], parts))


@functools.cache
def _compile_passes(policy):
    """Compiles, once for all layers, what applies the operation each image drew."""
    tables, factors = _list_steps(policy)

    def apply_passes(images, drawn):
        values = ops.cast(ops.round(255 * ops.cast(images, "float32")), "int32")
        pixels = ops.clip(values, 0, 255)
        operation = drawn["operation"]
        place = 2 * (operation * LEVELS + drawn["level"]) + drawn["sign"]
        factor = ops.take(factors, place)

        def skip_unless(names, change, values):
            # The condition also keeps XLA from fusing passes: a fused pass is
            # recomputed for every pixel that the next one reads, at six times the cost.
            drew = ops.any(ops.take(np.isin(OPERATIONS, names), operation))
            return ops.cond(drew, lambda: change(values), lambda: values)

        def fill(table):
            return _fill_tables(policy, table, pixels, operation, factor)

        def warp(pixels):
            number, *maps = _make_maps(policy, tuple(pixels.shape[1:3]))
            return read_taps(pixels, ops.take(number, place), maps)

        table = ops.repeat(ops.take(tables, place, axis=0), 3, axis=-1)
        table = skip_unless(TABLES, fill, table)
        pixels = skip_unless(TABLES, lambda x: look_up(x, table), pixels)
        pixels = skip_unless(WARPS, warp, pixels)
        pixels = skip_unless(BLENDS, lambda x: blend(x, operation, factor), pixels)
        return ops.cast(pixels, "float32") / 255

    return fuse(apply_passes)


def _list_steps(policy):
    """Lists tables and factors, a row for each operation, level and sign."""
    factors = np.ones((len(OPERATIONS), LEVELS, 2), "float32")
    tables = np.tile(VALUES, (*factors.shape, 1, 1))
    for number, (name, magnitudes) in enumerate(list_magnitudes(policy).items()):
        for level, magnitude in enumerate(magnitudes):
            if name in ("color", "contrast", "brightness", "sharpness"):
                factors[number, level] = 1 + magnitude, 1 - magnitude
            elif name == "solarize":
                tables[number, level] = solarize(magnitude)
            elif name == "posterize":
                tables[number, level] = posterize(magnitude)
    return tables.reshape(-1, 256, 1), factors.reshape(-1)


def _is(operation, name):
    """Returns whether each image drew an operation, as (n, 1, 1)."""
    return ops.reshape(operation == OPERATIONS.index(name), (-1, 1, 1))


def _fill_tables(policy, table, pixels, operation, factor):
    """Fills the tables that depend on the image or on a factor, int32 (n, 256, 3)."""
    mean = ops.where(_is(operation, "contrast"), mean_grey(pixels), 0)
    mixed = mix(mean, VALUES, factor)
    tables = {
        "autocontrast": autocontrast(pixels),
        "contrast": mixed,
        "brightness": mixed,
    }
    # The article's equalize changes nothing, so its histogram is not needed.
    if policy != "article":
        tables["equalize"] = equalize(pixels)
    for name, changed in tables.items():
        table = ops.where(_is(operation, name), changed, table)
    return table


@functools.cache
def _make_maps(policy, size):
    """Numbers the warps of all operations, levels and signs, and makes their taps.

    Returns these numbers, flat, 0 for no warp, then the parts of `transforms.Taps`.
    """
    article = policy == "article"
    magnitudes = list_magnitudes(policy)
    numbers = np.zeros((len(OPERATIONS), LEVELS, 2), "int32")
    maps = [tap_nearest(np.eye(2, 3), size, fill=0)]
    for name in WARPS:
        if name.startswith("translate") or (article and name == "rotate"):
            tap = tap_nearest
        else:
            tap = tap_bicubic if article else tap_bilinear
        fill = 0 if article and name != "rotate" else 128
        for level, sign in np.ndindex(LEVELS, 2):
            # The article rotates in one direction only.
            side = 1 if article and name == "rotate" else 1 - 2 * sign
            matrix = make_matrix(name, side * magnitudes[name][level], size)
            numbers[OPERATIONS.index(name), level, sign] = len(maps)
            maps.append(tap(matrix, size, fill))
    # Each part with an axis for the warps before the last.
    parts = [np.stack(each, axis=-2) for each in zip(*maps, strict=True)]
    return numbers.reshape(-1), *parts


def blend(pixels: Tensor, operation: Tensor, factor: Tensor) -> Tensor:
    """Blends images with their grey (color) or smoothed (sharpness) versions."""
    color, sharpness = (_is(operation, name)[..., None] for name in BLENDS)
    other = ops.where(color, make_grey(pixels), smooth(pixels))
    mixed = mix(other, pixels, factor)
    return ops.where(color | sharpness, mixed, pixels)
