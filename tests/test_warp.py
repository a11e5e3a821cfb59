"""The warp against NumPy and SciPy, and the layer against Keras' old generator."""

import numpy as np
import pytest
from keras import ops
from scipy import linalg, ndimage, stats

from tutorials_lib.warp import RandomWarp, make_matrices, warp_images


def test_order_is_that_of_ndimage(colour):
    """All parts at once against SciPy with the matrix composed in NumPy."""
    angle, centre = 0.4, np.array([4.5, 6.5])
    sine, cosine = np.sin(angle), np.cos(angle)
    turn = np.array([[cosine, sine], [-sine, cosine]])
    matrix = turn @ np.diag([0.9, 1.2])
    offset = centre + turn @ [1.3, -2.1] - matrix @ centre
    ours = make_matrices((10, 14), angle, 1.3, -2.1, 0.9, 1.2, flip=True)
    found = warp_images(colour, ops.broadcast_to(ours, (12, 2, 3)))
    # Images and channels stay apart.
    matrix, offset = linalg.block_diag(1, matrix, 1), [0, *offset, 0]
    expected = ndimage.affine_transform(colour, matrix, offset, order=1, mode="nearest")
    np.testing.assert_allclose(found, expected[:, :, ::-1], atol=1e-5)


class TestRandomWarp:
    @pytest.mark.parametrize("off_centre", [False, True])
    def test_is_the_old_generator_given_the_same_parameters(
        self, colour, off_centre, monkeypatch
    ):
        from keras.src.legacy.preprocessing import image as legacy

        if off_centre:
            # As it stood in the article's time: h / 2 + 0.5 where it is - 0.5 now.
            def centre(matrix, rows, columns):
                to, back = np.eye(3), np.eye(3)
                to[:2, 2] = rows / 2 + 0.5, columns / 2 + 0.5
                back[:2, 2] = -to[:2, 2]
                return to @ matrix @ back

            monkeypatch.setattr(legacy, "transform_matrix_offset_center", centre)
        images = colour[:, :, :10]
        layer = RandomWarp(25, 0.3, 0.3, 0.3, off_centre=off_centre, seed=1)
        parameters = layer.draw(len(images), images.shape[1:3])
        found = ops.convert_to_numpy(layer.apply(images, parameters))
        drawn = {k: ops.convert_to_numpy(v) for k, v in parameters.items()}
        assert 0 < drawn["flip"].mean() < 1
        generator = legacy.ImageDataGenerator()
        for k, image in enumerate(images):
            transform = {
                "theta": np.rad2deg(drawn["rotation"][k]),
                "tx": drawn["shift_columns"][k],
                "ty": drawn["shift_rows"][k],
                "zx": drawn["zoom_columns"][k],
                "zy": drawn["zoom_rows"][k],
                "flip_horizontal": drawn["flip"][k],
                "channel_shift_intensity": drawn["channel_shift"][k],
            }
            expected = generator.apply_transform(image, transform)
            np.testing.assert_allclose(found[k], expected, atol=1e-5)

    def test_draws_are_uniform_independent_and_each_image_s_own(self):
        layer = RandomWarp(30, 0.1, 0.25, 0.5, seed=0)
        drawn = layer.draw(4000, (20, 40))
        drawn = {k: ops.convert_to_numpy(v) for k, v in drawn.items()}
        ranges = {
            "rotation": (-np.pi / 6, np.pi / 6),
            "shift_rows": (-2, 2),
            "shift_columns": (-4, 4),
            "zoom_rows": (0.75, 1.25),
            "zoom_columns": (0.75, 1.25),
            "channel_shift": (-0.5, 0.5),
        }
        assert set(drawn) == {*ranges, "flip"}
        for name, (low, high) in ranges.items():
            law = stats.uniform(low, high - low).cdf
            assert stats.kstest(drawn[name], law).pvalue > 1e-3, name
        assert abs(drawn["flip"].mean() - 0.5) < 0.04
        correlation = np.corrcoef([drawn[name].astype(float) for name in drawn])
        assert np.abs(correlation - np.eye(7)).max() < 0.08

    def test_every_image_is_warped_anew_each_time(self, colour):
        layer, same = RandomWarp(seed=0), np.repeat(colour[:1], 8, axis=0)
        found = np.concatenate([layer(same, training=True) for _ in "ab"])
        distances = np.abs(found[:, None] - found[None]).mean(axis=(2, 3, 4))
        assert (distances + np.eye(16) > 0.01).all()

    def test_what_would_warp_in_silence_is_refused(self, colour):
        for name, bad in (("rotation", -1), ("shift", 2), ("zoom", 1)):
            with pytest.raises(ValueError, match=name):
                RandomWarp(**{name: bad})
        with pytest.raises(ValueError, match="images"):
            RandomWarp()((255 * colour).astype("uint8"), training=True)
