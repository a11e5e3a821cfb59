"""RandAugment: operations drawn at random for each image, equal to Pillow's.

Cubuk, Zoph, Shlens and Le, "RandAugment: Practical automated data augmentation with a
reduced search space", arXiv:1909.13719, as article 4 has it and as the paper does.

Thirteen operations need three passes over a batch, not thirteen: six are a table of
256 values for each image and channel, five a warp, two a blend with another image. Each
pass is applied once; where an image drew another kind of operation, it changes nothing.
A pass that no image of a batch drew is skipped.

Whole values come out as Pillow's, except where its sums fall short of a whole number by
the last bit and it cuts off a grey level: autocontrast, and where a warp interpolates.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from tutorials_lib.checks import (
    check_batch,
    check_choice,
    check_count,
    check_finite,
    check_floats,
    check_images,
    check_seed,
    check_whole,
    read_values,
)
from tutorials_lib.tensors import Tensor
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.policy = check_choice("policy", policy, POLICIES)
        self.operations = check_count("operations", operations)
        self.level = level if level is None else check_whole("level", level, 0, 9)
        self.seed = check_seed(seed)
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
        names = ("policy", "operations", "level", "seed")
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
        _make_identity(ops.shape(pixels)[0]),
    )
    pixels = skip_unless(TABLES, lambda x: _look_up(x, table), pixels)
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
    # Of all differences between two values. Multiplied and added in one go, as XLA
    # does it, some sums would be another whole number than Pillow's.
    products = factor[..., None] * np.arange(-255, 256, dtype="float32")
    return {
        "threshold": threshold.reshape(-1),
        "grain": grain.reshape(-1),
        "products": products.reshape(-1, 511),
    }


def _is(operation, name):
    """Whether each image drew an operation, as (n, 1, 1)."""
    return ops.reshape(operation == OPERATIONS.index(name), (-1, 1, 1))


def _make_identity(n):
    """A table for each image and channel that changes nothing, int32 (n, 256, 3)."""
    value = ops.reshape(ops.arange(256, dtype="int32"), (1, 256, 1))
    return ops.broadcast_to(value, (n, 256, 3))


def _fill_tables(policy, table, pixels, operation, step):
    """What becomes of each value, where an image drew an operation that is a table."""
    value = ops.reshape(ops.arange(256, dtype="int32"), (1, 256, 1))
    threshold = ops.reshape(step["threshold"], (-1, 1, 1))
    grain = ops.reshape(step["grain"], (-1, 1, 1))
    low = ops.min(pixels, axis=(1, 2))[:, None]
    high = ops.max(pixels, axis=(1, 2))[:, None]
    stretched = 255 * (value - low) // ops.maximum(high - low, 1)
    mean = ops.where(_is(operation, "contrast"), _mean_grey(pixels), 0)
    mixed = _mix(mean, value, step["products"])
    tables = {
        "autocontrast": ops.where(high > low, ops.clip(stretched, 0, 255), value),
        "solarize": ops.where(value < threshold, value, 255 - value),
        "posterize": value // grain * grain,
        "contrast": mixed,
        "brightness": mixed,
    }
    # The article's leaves the image as it is, so that its counts need not be taken.
    if policy != "article":
        tables["equalize"] = _equalize(pixels, high)
    for name, changed in tables.items():
        table = ops.where(_is(operation, name), changed, table)
    return table


def _equalize(pixels, high):
    """Pillow's equalize: a table that spreads the counts of values evenly."""
    n, total = ops.shape(pixels)[0], pixels.shape[1] * pixels.shape[2]
    start = 256 * ops.arange(3 * n, dtype="int32")
    bins = ops.reshape(pixels, (n, total, 3)) + ops.reshape(start, (n, 1, 3))
    flat = ops.reshape(bins, (-1,))
    counts = ops.segment_sum(ops.ones_like(flat), flat, num_segments=3 * n * 256)
    counts = ops.transpose(ops.reshape(counts, (n, 3, 256)), (0, 2, 1))
    last = ops.take_along_axis(counts, high, axis=1)
    share = (total - last) // 255
    below = ops.cumsum(counts, axis=1) - counts
    spread = ops.clip((share // 2 + below) // ops.maximum(share, 1), 0, 255)
    value = ops.reshape(ops.arange(256, dtype="int32"), (1, 256, 1))
    return ops.where(share > 0, spread, value)


def _grey(pixels):
    """Pillow's conversion to grey, int32 (n, height, width, 1)."""
    weights = np.array([19595, 38470, 7471], "int32")
    return (ops.sum(pixels * weights, axis=-1, keepdims=True) + 32768) // 65536


def _mean_grey(pixels):
    """The mean of the grey image, rounded, int32 (n, 1, 1)."""
    total = pixels.shape[1] * pixels.shape[2]
    sums = ops.sum(_grey(pixels), axis=(1, 2))[:, None]
    return (2 * sums + total) // (2 * total)


def _mix(one, other, products):
    """Pillow's blend: one + factor * (other - one), cut to whole values in range."""
    start = ops.reshape(
        511 * ops.arange(ops.shape(products)[0], dtype="int32"), (-1, 1)
    )
    places = ops.reshape(start, (-1,) + (1,) * (len(other.shape) - 1)) + 255
    product = ops.take(ops.reshape(products, (-1,)), places + other - one)
    total = ops.cast(one, "float32") + product
    return ops.cast(ops.clip(total, 0, 255), "int32")


def _look_up(pixels, tables):
    """Replaces each value by its entry in its image's and channel's table."""
    n = ops.shape(pixels)[0]
    start = ops.reshape(256 * ops.arange(n, dtype="int32"), (-1, 1, 1, 1))
    places = 3 * (start + pixels) + np.arange(3, dtype="int32")
    return ops.take(ops.reshape(tables, (-1,)), places)


def _blend(pixels, operation, step):
    """Mixes an image with its grey one (color) or its smoothed one (sharpness)."""
    color, sharpness = (_is(operation, name)[..., None] for name in BLENDS)
    other = ops.where(color, _grey(pixels), _smooth(pixels))
    mixed = _mix(other, pixels, step["products"])
    return ops.where(color | sharpness, mixed, pixels)


def _smooth(pixels):
    """Pillow's SMOOTH filter: a mean of nine with weight 5 in the middle."""
    height, width = pixels.shape[1:3]
    rows = pixels[:, :-2] + pixels[:, 1:-1] + pixels[:, 2:]
    squares = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    inner = (2 * (squares + 4 * pixels[:, 1:-1, 1:-1]) + 13) // 26
    # Pillow leaves the border as it is.
    border = np.ones((height, width, 1), dtype=bool)
    border[1:-1, 1:-1] = False
    inner = ops.pad(inner, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return ops.where(border, pixels, inner)


def _warp(policy, pixels, place):
    """Takes each pixel from the four places that its image's warp names."""
    height, width = pixels.shape[1:3]
    maps = _make_maps(policy, (height, width))
    number = ops.take(maps["number"], place)
    places = ops.take(maps["places"], number, axis=0)
    weights = ops.take(maps["weights"], number, axis=0)
    flat = ops.cast(ops.reshape(pixels, (-1, height * width, 3)), "float32")
    # One tap after the other: taken by image, JAX is three times as fast.
    warped = sum(
        ops.take_along_axis(flat, places[..., k : k + 1], axis=1)
        * weights[..., k : k + 1]
        for k in range(4)
    )
    # Pillow cuts off what is behind the point; weights that sum to 1 but for their
    # rounding must not cost a whole value.
    warped = ops.cast(ops.clip(warped + 1e-3, 0, 255), "int32")
    fill = ops.expand_dims(ops.take(maps["fill"], number, axis=0), -1)
    return ops.reshape(ops.where(fill >= 0, fill, warped), (-1, height, width, 3))


@functools.cache
def _make_maps(policy, size):
    """Lists, for each warp and each pixel, four places to read and their weights.

    Returns:
        Dict of arrays: `number`, the warp of each operation, level and sign, 0 for
        none; `places` and `weights` (warps, pixels, 4); `fill` (warps, pixels), the
        value of a pixel from beyond the border, -1 for others.
    """
    article = policy == "article"
    magnitudes = list_magnitudes(policy)
    number = np.zeros((len(OPERATIONS), LEVELS, 2), "int32")
    maps = [_read_nearest(np.eye(2, 3), size, fill=0)]
    for name in WARPS:
        read = _read_nearest
        if not name.startswith("translate") and not article:
            read = _read_bilinear
        elif name.startswith("shear"):
            read = _read_bicubic
        fill = 0 if article and name != "rotate" else 128
        for level, sign in np.ndindex(LEVELS, 2):
            # The article turns to one side alone.
            side = 1 if article and name == "rotate" else 1 - 2 * sign
            matrix = _make_matrix(name, side * magnitudes[name][level], size)
            number[OPERATIONS.index(name), level, sign] = len(maps)
            maps.append(read(matrix, size, fill))
    places, weights, fills = (np.stack(each) for each in zip(*maps, strict=True))
    return {
        "number": number.reshape(-1),
        "places": places.astype("int32"),
        "weights": weights.astype("float32"),
        "fill": fills.astype("int32"),
    }


def _make_matrix(name, value, size):
    """From (x, y, 1) of the result to (x, y) of the image, as Pillow has it."""
    height, width = size
    matrix = np.eye(2, 3)
    if name == "rotate":
        angle = -math.radians(value % 360)
        cosine, sine = round(math.cos(angle), 15), round(math.sin(angle), 15)
        centre = np.array([width / 2, height / 2])
        matrix[:, :2] = [[cosine, sine], [-sine, cosine]]
        matrix[:, 2] = centre - matrix[:, :2] @ centre
    elif name == "shear_x":
        matrix[0, 1] = value
    elif name == "shear_y":
        matrix[1, 0] = value
    elif name == "translate_x":
        matrix[0, 2] = value * width
    else:
        matrix[1, 2] = value * height
    return matrix


def _find_sources(matrix, size):
    """Where the middle of each pixel comes from: x and y, and whether from beyond."""
    rows, columns = np.indices(size).reshape(2, -1) + 0.5
    # Summed in Pillow's order: some sums lie on the border but for their last bit.
    x, y = (a * columns + b * rows + c for a, b, c in matrix)
    return x, y, _is_beyond(x, y, size)


def _is_beyond(x, y, size):
    return (x < 0) | (x >= size[1]) | (y < 0) | (y >= size[0])


def _read_nearest(matrix, size, fill):
    x, y, beyond = _find_sources(matrix, size)
    if matrix[0, 1]:
        # Pillow turns in whole 65536ths of a pixel.
        half = matrix @ (0.5, 0.5, 1)
        steps = np.floor(np.c_[matrix[:, :2], half] * 65536 + 0.5)
        rows, columns = np.indices(size).reshape(2, -1)
        x, y = ((a * columns + b * rows + c) / 65536 for a, b, c in steps)
        beyond = _is_beyond(x, y, size)
    taps = [(np.floor(y), np.floor(x), np.ones_like(x))]
    return _list_taps(taps, beyond, size, fill)


def _read_bilinear(matrix, size, fill):
    x, y, beyond = _find_sources(matrix, size)
    left, top = np.floor(x - 0.5), np.floor(y - 0.5)
    right, down = x - 0.5 - left, y - 0.5 - top
    taps = [
        (top, left, (1 - down) * (1 - right)),
        (top, left + 1, (1 - down) * right),
        (top + 1, left, down * (1 - right)),
        (top + 1, left + 1, down * right),
    ]
    return _list_taps(taps, beyond, size, fill)


def _read_bicubic(matrix, size, fill):
    """Pillow's cubic along the axis of a shear; across it nothing moves."""
    x, y, beyond = _find_sources(matrix, size)
    along, across = (x, y) if matrix[0, 1] else (y, x)
    across = np.floor(across)
    first = np.floor(along - 0.5)
    d = along - 0.5 - first
    weights = (
        -d + 2 * d**2 - d**3,
        1 - 2 * d**2 + d**3,
        d + d**2 - d**3,
        -(d**2) + d**3,
    )
    taps = []
    for k, weight in enumerate(weights, start=-1):
        place = (across, first + k) if matrix[0, 1] else (first + k, across)
        taps.append((*place, weight))
    return _list_taps(taps, beyond, size, fill)


def _list_taps(taps, beyond, size, fill):
    """Places in the flattened image, weights, and the fill of pixels from beyond."""
    height, width = size
    places, weights = np.zeros((2, height * width, 4))
    for number, (row, column, weight) in enumerate(taps):
        row, column = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
        places[:, number] = row * width + column
        weights[:, number] = weight
    return places, weights, np.where(beyond, fill, -1)
