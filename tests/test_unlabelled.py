"""Images without labels: hidden ones, and folders of whatever lies in them."""

import re

import numpy as np
import pytest
from PIL import Image

from tutorials_lib.few_labels import hide_labels
from tutorials_lib.support import folder as unlabelled
from tutorials_lib.support.folder import hash_images, read_folder


class TestHideLabels:
    labels = np.arange(60) % 3

    def test_none_lost_none_twice_and_equally_many(self):
        kept, hidden = hide_labels(self.labels, 24, seed=0)
        assert sorted([*kept, *hidden]) == list(range(60))
        assert np.bincount(self.labels[hidden]).tolist() == [8, 8, 8]
        assert (np.diff(kept) > 0).all()
        assert (np.diff(hidden) > 0).all()

    def test_seed(self):
        first = hide_labels(self.labels, 24, seed=0)[1]
        assert np.array_equal(first, hide_labels(self.labels, 24, seed=0)[1])
        assert not np.array_equal(first, hide_labels(self.labels, 24, seed=1)[1])

    def test_refused(self):
        with pytest.raises(ValueError, match="n must be a multiple of the 3 classes"):
            hide_labels(self.labels, 25, seed=0)
        with pytest.raises(ValueError, match="n must leave images with a label"):
            hide_labels(self.labels, 60, seed=0)


def test_hashes_tell_sets_of_images_apart():
    images = np.random.default_rng(0).random((4, 6, 6, 3)).astype("float32")
    name = hash_images(images)
    assert re.fullmatch("[0-9a-f]{16}", name)
    assert hash_images(images.copy(order="F")) == name
    changed = images.copy()
    changed[3, 5, 5, 2] += 1e-6
    others = [changed, images[::-1], images[:3], images.reshape(4, 3, 12, 3)]
    assert name not in {hash_images(each) for each in others}


def save(path, colour, size=(32, 32), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


class TestReadFolder:
    def test_in_order_of_the_path_and_below(self, tmp_path):
        save(tmp_path / "b.png", (10, 20, 30))
        save(tmp_path / "a" / "z.png", (1, 2, 3))
        save(tmp_path / "c.bmp", (200, 210, 220))
        images, counts = read_folder(tmp_path)
        assert images.shape == (3, 32, 32, 3)
        assert images.dtype == np.uint8
        assert images[:, 5, 5].tolist() == [[1, 2, 3], [10, 20, 30], [200, 210, 220]]
        assert counts == {
            "read": 3,
            "left out": 0,
            "no image": 0,
            "damaged": 0,
            "too large": 0,
        }

    def test_the_middle_of_a_wide_image(self, tmp_path):
        """Thirds of red, green and blue: a square from the middle is green."""
        image = Image.new("RGB", (192, 64), (255, 0, 0))
        image.paste((0, 255, 0), (64, 0, 128, 64))
        image.paste((0, 0, 255), (128, 0, 192, 64))
        image.save(tmp_path / "flag.png")
        images, _ = read_folder(tmp_path)
        assert (images[0, 4:-4, 4:-4] == (0, 255, 0)).all()

    def test_grey_transparent_palette_and_turned(self, tmp_path):
        save(tmp_path / "a.png", 77, mode="L")
        save(tmp_path / "b.png", (255, 0, 0, 0), mode="RGBA")
        adaptive = Image.Palette.ADAPTIVE
        coloured = Image.new("RGB", (32, 32), (9, 8, 7))
        coloured.convert("P", palette=adaptive).save(tmp_path / "c.png")
        # Black above white, and a note that the camera was upside down.
        image = Image.new("L", (32, 32), 0)
        image.paste(255, (0, 16, 32, 32))
        exif = Image.Exif()
        exif[0x0112] = 3
        image.save(tmp_path / "d.png", exif=exif)
        grey, clear, palette, turned = read_folder(tmp_path)[0]
        assert (grey == 77).all()
        assert (clear == 255).all()
        assert (palette == (9, 8, 7)).all()
        assert turned[2, 2].tolist() == [255, 255, 255]
        assert turned[-3, 2].tolist() == [0, 0, 0]

    def test_what_cannot_be_read_is_counted(self, tmp_path, monkeypatch):
        save(tmp_path / "good.png", (1, 2, 3))
        save(tmp_path / "cifar10-train-1.png", (1, 2, 3))
        (tmp_path / "notes.txt").write_text("no image")
        (tmp_path / "empty.jpg").write_bytes(b"")
        rng = np.random.default_rng(0)
        noise = Image.fromarray(rng.integers(0, 256, (64, 64, 3)).astype("uint8"))
        noise.save(tmp_path / "cut.png")
        content = (tmp_path / "cut.png").read_bytes()
        (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
        save(tmp_path / "large.png", (1, 2, 3), size=(300, 200))
        monkeypatch.setattr(unlabelled, "LARGEST", 50_000)
        images, counts = read_folder(tmp_path, (8, 8), leave_out=["cifar10-*"])
        assert images.shape == (1, 8, 8, 3)
        assert counts == {
            "read": 1,
            "left out": 1,
            "no image": 2,
            "damaged": 1,
            "too large": 1,
        }

    def test_no_other_program_is_started_to_read_one(self, tmp_path):
        """Pillow hands EPS to Ghostscript."""
        Image.new("RGB", (40, 40)).save(tmp_path / "a.eps")
        Image.new("RGB", (40, 40)).save(tmp_path / "b.png")
        images, counts = read_folder(tmp_path)
        assert (len(images), counts["no image"]) == (1, 1)

    def test_refused(self, tmp_path):
        with pytest.raises(ValueError, match=r"must be a folder; .*none is none"):
            read_folder(tmp_path / "none")
        (tmp_path / "notes.txt").write_text("no image")
        with pytest.raises(ValueError, match=r"must hold images; .* no image 1"):
            read_folder(tmp_path)
        with pytest.raises(ValueError, match="size must be a whole number"):
            read_folder(tmp_path, (0, 32))
