"""Folders of whatever images lie in them."""

import numpy as np
from PIL import Image

from tutorials_lib.support import folder
from tutorials_lib.support.folder import hash_images, read_folder


def save(path, colour, size=(32, 32), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


def test_the_middle_of_a_wide_image(tmp_path):
    """Thirds of red, green and blue: a square from the middle is green."""
    image = Image.new("RGB", (192, 64), (255, 0, 0))
    image.paste((0, 255, 0), (64, 0, 128, 64))
    image.paste((0, 0, 255), (128, 0, 192, 64))
    image.save(tmp_path / "flag.png")
    images, _ = read_folder(tmp_path)
    assert (images[0, 4:-4, 4:-4] == (0, 255, 0)).all()


def test_grey_transparent_palette_and_turned(tmp_path):
    save(tmp_path / "a.png", 77, mode="L")
    save(tmp_path / "b.png", (255, 0, 0, 0), mode="RGBA")
    adaptive = Image.Palette.ADAPTIVE
    coloured = Image.new("RGB", (32, 32), (9, 8, 7))
    coloured.convert("P", palette=adaptive).save(tmp_path / "c.png")
    # Below the folder, and after the others: in order of the path.
    save(tmp_path / "z" / "a.bmp", (1, 2, 3))
    # Black above white, and a note that the camera was upside down.
    image = Image.new("L", (32, 32), 0)
    image.paste(255, (0, 16, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = 3
    image.save(tmp_path / "d.png", exif=exif)
    images, counts = read_folder(tmp_path)
    assert (images.shape, images.dtype) == ((5, 32, 32, 3), np.uint8)
    assert counts["read"] == sum(counts.values()) == 5
    grey, clear, palette, turned, below = images
    assert (grey == 77).all()
    assert (clear == 255).all()
    assert (palette == (9, 8, 7)).all()
    assert (below == (1, 2, 3)).all()
    assert (turned[2, 2] == 255).all() and (turned[-3, 2] == 0).all()


def test_what_cannot_be_read_is_counted(tmp_path, monkeypatch):
    save(tmp_path / "good.png", (1, 2, 3))
    save(tmp_path / "cifar10-train-1.png", (1, 2, 3))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "empty.jpg").write_bytes(b"")
    # Pillow hands EPS to another program, Ghostscript.
    save(tmp_path / "a.eps", (1, 2, 3))
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")
    Image.fromarray(noise).save(tmp_path / "cut.png")
    content = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    save(tmp_path / "large.png", (1, 2, 3), size=(300, 200))
    monkeypatch.setattr(folder, "LARGEST", 50_000)
    images, counts = read_folder(tmp_path, leave_out=["cifar10-*"])
    assert images.shape == (1, 32, 32, 3)
    others = {"left out": 1, "no image": 3, "damaged": 1, "too large": 1}
    assert counts == {"read": 1, **others}


def test_hashes_tell_sets_of_images_apart():
    images = np.random.default_rng(0).random((4, 6, 6, 3)).astype("float32")
    changed = images.copy()
    changed[3, 5, 5, 2] += 1e-6
    kinds = [images, changed, images[::-1], images[:3], images.reshape(4, 3, 12, 3)]
    assert len({hash_images(each) for each in kinds}) == len(kinds)
    assert hash_images(images.copy(order="F")) == hash_images(images)
