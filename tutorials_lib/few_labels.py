"""Training with few labels: hide labels, and let a teacher assign new ones.

Pseudo-labels as in Xie, Luong, Hovy and Le, "Self-training with Noisy Student improves
ImageNet classification", arXiv:1911.04252, section 2. Functions that select images
return indices, so that no image is copied.
"""

import numpy as np

from tutorials_lib.support.batches import SeededBatches
from tutorials_lib.support.checks import (
    check_choice,
    check_finite,
    check_floats,
    check_label_rows,
    check_whole,
)


def hide_labels(labels: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Chooses the images that keep their labels: at random, as many of each class.

    Args:
        labels: Integer array (images,).
        n: Number of images to choose, a multiple of the number of classes.
        seed: Non-negative integer.

    Returns:
        Integer arrays of the indices of these n images and of all others, ascending.
    """
    if labels.ndim != 1:
        raise ValueError(f"labels must have shape (images,); got {labels.shape}.")
    classes = np.unique(labels)
    if n % len(classes):
        raise ValueError(f"n must be a multiple of {len(classes)} classes; got {n}.")
    rng = np.random.default_rng(seed)
    chosen = [
        rng.choice(np.flatnonzero(labels == each), n // len(classes), replace=False)
        for each in classes
    ]
    labelled = np.sort(np.concatenate(chosen))
    return labelled, np.setdiff1d(np.arange(len(labels)), labelled)


def keep_confident(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """Finds the images that the teacher classifies confidently.

    Args:
        probabilities: float array (n, classes), the teacher's predictions.
        threshold: The largest probability must be above it; 0.75 in the article, 0.3
            in the paper.

    Returns:
        Integer array of their indices, ascending.
    """
    check_label_rows("probabilities", probabilities, probabilities)
    confidence = probabilities.max(axis=1)
    return np.flatnonzero(confidence > threshold)


def balance_classes(
    labels: np.ndarray, classes: int, empty: str = "stop"
) -> np.ndarray:
    """Repeats images until every class has as many as the largest.

    Args:
        labels: Integer array (n,), the class of each image.
        classes: Number of classes.
        empty: If a class has no images, `"stop"` raises ValueError, `"skip"` leaves
            the class out.

    Returns:
        Integer array of indices, class by class: each class's images in order,
        repeated until there are enough.
    """
    check_choice("empty", empty, ("stop", "skip"))
    counts = np.bincount(labels, minlength=classes)
    if empty == "stop" and not counts.all():
        raise ValueError(f"labels must hold every class; got counts {counts.tolist()}.")
    if not counts.any():
        raise ValueError("labels must hold at least one image; got none.")
    repeated = [
        np.resize(np.flatnonzero(labels == each), counts.max())
        for each in np.flatnonzero(counts)
    ]
    return np.concatenate(repeated)


def write_labels(probabilities: np.ndarray, soft: bool = True) -> np.ndarray:
    """Turns a teacher's probabilities (n, classes) into labels, float32.

    Soft labels are the probabilities; hard labels are one-hot rows of the top class.
    """
    if soft:
        return probabilities.astype("float32")
    one_hot = np.eye(probabilities.shape[1], dtype="float32")
    return one_hot[probabilities.argmax(axis=1)]


class PartlyLabelledBatches(SeededBatches):
    """Batches of labelled and unlabelled images, with sample weights.

    A batch starts with labelled images, drawn with replacement. Unlabelled ones follow,
    each at most once per epoch, with zeros as labels and weight 0. The weights of the
    labelled images make a batch's mean loss equal to the mean over these images.

    Args:
        images: float array (n, ...) of labelled images.
        labels: float array (n, classes), one-hot rows.
        unlabelled: float array (m, ...) of unlabelled images.
        batch_size: Images per batch.
        labelled_per_batch: How many of them are labelled, 1 to batch_size - 1.
        seed: Non-negative integer.
        labelled_only: Whether to leave out the unlabelled images; the labelled ones
            and the number of batches stay the same.

    Raises:
        ValueError: A value is out of range, images are not finite floats, labels are
            not one-hot, or lengths differ.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        unlabelled: np.ndarray,
        batch_size: int,
        labelled_per_batch: int,
        seed: int,
        labelled_only: bool = False,
    ) -> None:
        for name, array in (("images", images), ("unlabelled", unlabelled)):
            check_floats(name, array)
            check_finite(name, array)
        self.images = images.astype("float32", copy=False)
        self.labels = check_label_rows("labels", labels, images).astype("float32")
        self.unlabelled = unlabelled.astype("float32", copy=False)
        self.labelled_per_batch = check_whole(
            "labelled_per_batch", labelled_per_batch, 1, batch_size - 1
        )
        self.unlabelled_per_batch = batch_size - labelled_per_batch
        self.labelled_only = labelled_only
        check_whole("len(unlabelled)", len(unlabelled), self.unlabelled_per_batch)
        super().__init__(seed, len(unlabelled))

    def __len__(self) -> int:
        return len(self.unlabelled) // self.unlabelled_per_batch

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns images, labels and sample weights (batch,), all float32."""
        rng = self.make_generator(index)
        drawn = rng.integers(len(self.images), size=self.labelled_per_batch)
        images, labels = self.images[drawn], self.labels[drawn]
        weights = np.ones(len(drawn), dtype="float32")
        if self.labelled_only:
            return images, labels, weights
        n = self.unlabelled_per_batch
        others = self.shuffles[0][index * n : (index + 1) * n]
        images = np.concatenate([images, self.unlabelled[others]])
        labels = np.pad(labels, ((0, n), (0, 0)))
        weights = np.pad(weights * (len(images) / len(drawn)), (0, n))
        return images, labels, weights
