"""Says what this machine has, where data comes from, and what is missing."""

import importlib.util
import os

from tutorials_lib.runs.articles import ARTICLES
from tutorials_lib.runs.environment import (
    count_cores,
    describe_device,
    describe_versions,
    find_version,
)
from tutorials_lib.runs.storage import find_checkout, published_folder, runs_folder
from tutorials_lib.support.data import DataError, load_dataset
from tutorials_lib.support.downloads import find_downloads

TOOLS = {
    "papermill": "tutorials run",
    "ipykernel": "tutorials run",
    "nbval": "tutorials check",
    "jupyter-book": "tutorials build",
}


def examine() -> tuple[list[str], list[str]]:
    """Examines the machine.

    Returns:
        Lines to print, and a list of what is missing (empty where all is well).
    """
    lines: list[str] = []
    missing: list[str] = []
    lines += [f"{name:<14} {found}" for name, found in describe_versions().items()]
    lines.append(f"{'checkout':<14} {find_checkout() or 'none'}")
    lines.append(f"{'records':<14} {published_folder()}")
    lines.append(f"{'runs':<14} {runs_folder()}")
    lines += _examine_backend(missing)
    lines += _examine_data(missing)
    for tool, command in TOOLS.items():
        version = find_version(tool)
        lines.append(f"{tool:<14} {version or 'missing'}")
        if version is None:
            missing.append(f"{tool}, which `{command}` needs")
    return lines, missing


def _examine_backend(missing):
    backends = [
        name
        for name in ("tensorflow", "jax", "torch")
        if importlib.util.find_spec(name) is not None
    ]
    if not {"tensorflow", "jax"} & set(backends):
        missing.append("a backend: pip install tensorflow, or jax")
        return [f"{'backend':<14} none"]
    try:
        import keras

        backend, device = keras.backend.backend(), describe_device()
    except Exception as error:
        missing.append(f"a working backend ({type(error).__name__}: {error})")
        return [f"{'backend':<14} broken; installed: {', '.join(backends)}"]
    return [
        f"{'backend':<14} {backend} (installed: {', '.join(backends)}; "
        f"KERAS_BACKEND chooses)",
        f"{'device':<14} {device}, {count_cores()} cores",
    ]


def _examine_data(missing):
    folder = os.environ.get("TUTORIALS_DATA")
    if not folder:
        return [
            f"{'data':<14} keras.datasets, cached in {find_downloads()}; set "
            f"TUTORIALS_DATA to read .npz files from a folder; profile smoke needs no "
            f"data"
        ]
    lines = [f"{'data':<14} TUTORIALS_DATA = {folder}"]
    for name in sorted({article["dataset"] for article in ARTICLES.values()}):
        try:
            lines.append(f"{'':<14} {load_dataset(name).describe()}")
        except DataError as error:
            missing.append(str(error))
            lines.append(f"{'':<14} {name}: not usable")
    return lines
