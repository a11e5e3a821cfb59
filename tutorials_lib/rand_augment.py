"""RandAugment: operations drawn at random for each image, equal to Pillow's.

Cubuk, Zoph, Shlens and Le, "RandAugment: Practical automated data augmentation with a
reduced search space", arXiv:1909.13719, as the article "Noisy Student on CIFAR-10" has
it and as the paper does.

Thirteen operations need three passes over a batch, not thirteen: six are a table of
256 values for each image and channel, five a warp, two a blend with another image. Each
pass is applied once; where an image drew another kind of operation, it changes nothing.
A pass that no image of a batch drew is skipped.

Whole values come out as Pillow's, except where its sums fall short of a whole number by
the last bit and it cuts off a grey level: autocontrast, and where a warp interpolates.
"""

import functools
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from tutorials_lib.pillow_values import (
    VALUES,
    autocontrast,
    equalize,
    list_products,
    look_up,
    make_grey,
    make_identity,
    mean_grey,
    mix,
    posterize,
    smooth,
    solarize,
)
from tutorials_lib.pillow_warps import (
    make_matrix,
    read_taps,
    tap_bicubic,
    tap_bilinear,
    tap_nearest,
)
from tutorials_lib.support.checks import (
    check_batch,
    check_choice,
    check_count,
    check_finite,
    check_flag,
    check_floats,
    check_images,
    check_seed,
    check_whole,
    read_values,
)
from tutorials_lib.support.tensors import Tensor
from tutorials_lib.warps import fuse

OPERATIONS = (
    "autocontrast",
    "equalize",
    "rotate",
    "solarize",
    "color",
    "posterize",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
POLICIES = ("article", "paper")
LEVELS = 10
TABLES = (
    "autocontrast",
    "equalize",
    "solarize",
    "posterize",
    "contrast",
    "brightness",
)
WARPS = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
BLENDS = ("color", "sharpness")


def list_magnitudes(policy: str) -> dict[str, list]:
    """Lists what each operation does at each level.

    Args:
        policy: `"article"` or `"paper"`. The article turns by up to 360 degrees,
            solarizes next to nothing, and its equalize leaves the image as it is; it
            fills with black, and with grey where it turns. `"paper"` has ranges like
            the paper's, which are AutoAugment's, and fills with grey; the operation
            that does nothing is not among these thirteen.

    Returns:
        Dict of operation to a list of ten numbers: degrees, shares of the image's
        size, what a factor differs from 1 by, bits kept, or the threshold. An
        operation without strength has None.

    Raises:
        ValueError: another policy.
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


def stretch_images(images: Tensor) -> Tensor:
    """Stretches each image to the whole range, as Keras 2's `array_to_img` does.

    Its default, `scale=True`, subtracts the image's lowest value, divides by what is
    then its highest, both over all channels, and cuts 255 times that off to whole
    grey values. (So it has been since keras-preprocessing 1.1.1 of May 2020; up to
    1.1.0 nothing was subtracted from an image without negative values.)

    Args:
        images: float array (n, height, width, channels).

    Returns:
        float32 tensor shaped as images: whole grey values from 0 to 255, over 255. An
        image of one value becomes 0.
    """
    images = ops.cast(images, "float32")
    images = images - ops.min(images, axis=(1, 2, 3), keepdims=True)
    highest = ops.max(images, axis=(1, 2, 3), keepdims=True)
    # A divisor for each pixel: with one for each image XLA would multiply by its
    # inverse, whose rounding costs some pixels a grey value.
    divisor = ops.maximum(images, ops.where(highest > 0, highest, 1.0))
    return ops.floor(255 * (images / divisor)) / 255


@keras.saving.register_keras_serializable("tutorials_lib")
class RandAugment(keras.layers.Layer):
    """Applies operations to images in training, drawn anew for each image.

    The layer runs inside jit on TensorFlow and JAX. Images are rounded to the 256 grey
    values that Pillow knows, and so is what each operation makes of them.

    Args:
        policy: `"article"` or `"paper"`, see `list_magnitudes`.
        operations: How many operations an image goes through, one after the other; N
            in the paper.
        level: From 0 to 9, the strength of every operation, M in the paper; None
            draws it anew for each operation, as the article does.
        seed: Whole number, or None for what `keras.utils.set_random_seed` set.
        stretch: Whether each image first goes through `stretch_images`, as in the
            article.
        **kwargs: Passed on to `keras.layers.Layer`.

    Raises:
        TypeError: images that are no array.
        ValueError: a value out of range, or images that are not floats from 0 to 1
            of shape (n, height, width, 3).
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
        self.operations = check_count("operations", operations)
        self.level = level if level is None else check_whole("level", level, 0, 9)
        self.seed = check_seed(seed)
        self.stretch = check_flag("stretch", stretch)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def draw(self, n: int | Tensor) -> dict[str, Tensor]:
        """Draws one operation for each of n images.

        Returns:
            Dict of int32 tensors (n,), what `apply` takes: `operation`, a place in
            `OPERATIONS`; `level`; `sign`, 0 or 1, the side to which an operation with
            two goes.
        """
        check_batch("n", n)

        def draw(high):
            return keras.random.randint((n,), 0, high, seed=self.seed_generator)

        level = draw(LEVELS)
        if self.level is not None:
            level = ops.full_like(level, self.level)
        return {"operation": draw(len(OPERATIONS)), "level": level, "sign": draw(2)}

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        """Applies one operation to each image.

        Args:
            images: float array (n, height, width, 3), from 0 to 1.
            drawn: See `draw`.

        Returns:
            float32 tensor shaped as images.
        """
        _check_images(images)
        _check_drawn(drawn, images.shape[0])
        drawn = {name: ops.cast(values, "int32") for name, values in drawn.items()}
        return _fuse_passes(self.policy)(images, drawn)

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """Augments images while training; returns them as they are otherwise."""
        check_floats("images", images)
        if not training:
            return images
        if self.stretch:
            images = stretch_images(images)
        for _ in range(self.operations):
            images = self.apply(images, self.draw(ops.shape(images)[0]))
        return images

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        names = ("policy", "operations", "level", "seed", "stretch")
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **own}


def _check_images(images):
    check_images("images", images, channels=3)
    check_finite("images", images)
    found = read_values("images", images)
    # Half a grey value to either side is rounded away.
    slack = 0.5 / 255
    if found is not None and ((found < -slack) | (found > 1 + slack)).any():
        raise ValueError(
            f"images must be from 0 to 1; got {found.min()} to {found.max()}."
        )


def _check_drawn(drawn, n):
    most = {"operation": len(OPERATIONS) - 1, "level": LEVELS - 1, "sign": 1}
    if not isinstance(drawn, dict) or set(drawn) != set(most):
        raise ValueError(f"drawn must be a dict of {', '.join(most)}; got {drawn!r}.")
    for name, high in most.items():
        found = read_values(f"drawn[{name!r}]", drawn[name])
        if found is None:
            continue
        whole = np.issubdtype(found.dtype, np.integer) and found.shape == (n,)
        if not whole or not ((found >= 0) & (found <= high)).all():
            raise ValueError(
                f"drawn[{name!r}] must be whole numbers from 0 to {high}, one "
                f"for each of {n} images; got {found}."
            )


@functools.cache
def _fuse_passes(policy):
    """What applies an operation to each image, compiled once for all layers."""
    return fuse(functools.partial(_apply_passes, policy, _list_steps(policy)))


def _apply_passes(policy, steps, images, drawn):
    values = ops.cast(ops.round(255 * ops.cast(images, "float32")), "int32")
    pixels = ops.clip(values, 0, 255)
    operation = drawn["operation"]
    # A row for each operation, level and sign.
    place = 2 * (operation * LEVELS + drawn["level"]) + drawn["sign"]
    step = {name: ops.take(rows, place, axis=0) for name, rows in steps.items()}

    def skip_unless(names, change, values):
        # XLA does not fuse across a condition. Without one it computes a pass anew
        # for every pixel that the next reads of it, at six times the cost.
        drew = ops.any(ops.take(np.isin(OPERATIONS, names), operation))
        return ops.cond(drew, lambda: change(values), lambda: values)

    table = skip_unless(
        TABLES,
        lambda table: _fill_tables(policy, table, pixels, operation, step),
        make_identity(ops.shape(pixels)[0]),
    )
    pixels = skip_unless(TABLES, lambda x: look_up(x, table), pixels)
    pixels = skip_unless(WARPS, lambda x: _warp(policy, x, place), pixels)
    pixels = skip_unless(BLENDS, lambda x: _blend(x, operation, step), pixels)
    return ops.cast(pixels, "float32") / 255


def _list_steps(policy):
    """What tables and blends take, a row for every operation, level and sign."""
    shape = (len(OPERATIONS), LEVELS, 2)
    factor, threshold = np.ones(shape, "float32"), np.full(shape, 256, "int32")
    grain = np.ones(shape, "int32")
    magnitudes = list_magnitudes(policy)
    for name in ("color", "contrast", "brightness", "sharpness"):
        values = np.array(magnitudes[name])
        factor[OPERATIONS.index(name)] = 1 + np.stack([values, -values], axis=1)
    limits = np.ceil(magnitudes["solarize"])
    threshold[OPERATIONS.index("solarize")] = limits[:, None]
    bits = np.array(magnitudes["posterize"])[:, None]
    grain[OPERATIONS.index("posterize")] = 2 ** (8 - bits)
    return {
        "threshold": threshold.reshape(-1),
        "grain": grain.reshape(-1),
        "products": list_products(factor.reshape(-1)),
    }


def _is(operation, name):
    """Whether each image drew an operation, as (n, 1, 1)."""
    return ops.reshape(operation == OPERATIONS.index(name), (-1, 1, 1))


def _fill_tables(policy, table, pixels, operation, step):
    """What becomes of each value, where an image drew an operation that is a table."""
    mean = ops.where(_is(operation, "contrast"), mean_grey(pixels), 0)
    mixed = mix(mean, VALUES, step["products"])
    tables = {
        "autocontrast": autocontrast(pixels),
        "solarize": solarize(step["threshold"]),
        "posterize": posterize(step["grain"]),
        "contrast": mixed,
        "brightness": mixed,
    }
    # The article's leaves the image as it is, so that its counts need not be taken.
    if policy != "article":
        tables["equalize"] = equalize(pixels)
    for name, changed in tables.items():
        table = ops.where(_is(operation, name), changed, table)
    return table


def _warp(policy, pixels, place):
    """Takes each pixel from the places that its image's warp names."""
    number, *maps = _make_maps(policy, tuple(pixels.shape[1:3]))
    number = ops.take(number, place)
    return read_taps(pixels, *(ops.take(each, number, axis=0) for each in maps))


@functools.cache
def _make_maps(policy, size):
    """Lists the taps of every warp.

    Returns:
        Arrays: the number of the warp of each operation, level and sign, 0 for none;
        then places, weights and fill of each warp, see `Taps`.
    """
    article = policy == "article"
    magnitudes = list_magnitudes(policy)
    number = np.zeros((len(OPERATIONS), LEVELS, 2), "int32")
    maps = [tap_nearest(np.eye(2, 3), size, fill=0)]
    for name in WARPS:
        tap = tap_nearest
        if not name.startswith("translate") and not article:
            tap = tap_bilinear
        elif name.startswith("shear"):
            tap = tap_bicubic
        fill = 0 if article and name != "rotate" else 128
        for level, sign in np.ndindex(LEVELS, 2):
            # The article turns to one side alone.
            side = 1 if article and name == "rotate" else 1 - 2 * sign
            matrix = make_matrix(name, side * magnitudes[name][level], size)
            number[OPERATIONS.index(name), level, sign] = len(maps)
            maps.append(tap(matrix, size, fill))
    places, weights, fills = (np.stack(each) for each in zip(*maps, strict=True))
    return (
        number.reshape(-1),
        places.astype("int32"),
        weights.astype("float32"),
        fills.astype("int32"),
    )


def _blend(pixels, operation, step):
    """Mixes an image with its grey one (color) or its smoothed one (sharpness)."""
    color, sharpness = (_is(operation, name)[..., None] for name in BLENDS)
    other = ops.where(color, make_grey(pixels), smooth(pixels))
    mixed = mix(other, pixels, step["products"])
    return ops.where(color | sharpness, mixed, pixels)
