"""What a run happened on, and what a machine lacks: versions, device, commit, data."""

import importlib.metadata
import importlib.util
import json
import os
import pathlib
import platform
import subprocess
from typing import Any

from tutorials_lib import __version__
from tutorials_lib.runs.articles import ARTICLES
from tutorials_lib.runs.storage import find_checkout, published_folder, runs_folder
from tutorials_lib.support.data import DataError, find_downloads, load_dataset

VERSIONED = ("keras", "tensorflow", "jax", "numpy")
TOOLS = {
    "papermill": "tutorials run",
    "ipykernel": "tutorials run",
    "nbval": "tutorials check",
    "jupyter-book": "tutorials build",
}


def find_version(package: str) -> str | None:
    """Returns the installed version of a package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def describe_versions() -> dict[str, str]:
    """Returns a dict of Python's and the installed packages' versions."""
    versions = {name: find_version(name) for name in VERSIONED}
    return {
        "python": platform.python_version(),
        "tutorials_lib": __version__,
        **{name: version for name, version in versions.items() if version},
    }


def count_cores() -> int:
    """Counts the cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_processor() -> str:
    """Names the processor, as the system does."""
    return _read_processor("model name") or platform.processor() or platform.machine()


def _read_processor(field):
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(field):
                return " ".join(line.split(":", 1)[1].split())
    except OSError:
        pass
    return ""


def _find_accelerator():
    """The name of the backend's GPU or TPU, None without one, and its capability."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        device = jax.devices()[0]
        if device.platform != "cpu":
            capability = getattr(device, "compute_capability", "")
            return device.device_kind, str(capability).split(".")[0]
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        for gpu in tensorflow.config.list_physical_devices("GPU"):
            details = tensorflow.config.experimental.get_device_details(gpu)
            capability = details.get("compute_capability", [""])[0]
            return details.get("device_name", "GPU"), str(capability)
    return None, ""


def describe_device() -> str:
    """Names the device that Keras' backend computes on."""
    return _find_accelerator()[0] or describe_processor()


def has_accelerator() -> bool:
    """Tells whether Keras' backend has a GPU or TPU."""
    return _find_accelerator()[0] is not None


def choose_precision() -> str:
    """Chooses the policy of Keras by the device.

    `"mixed_bfloat16"` where bfloat16 is native (NVIDIA GPUs since Ampere, and under
    TensorFlow processors with instructions for it), `"mixed_float16"` on older GPUs
    such as Colab's T4, else `"float32"`.
    """
    import keras

    # The first number of NVIDIA's compute capability: 7 for a T4, 8 for an A100.
    name, capability = _find_accelerator()
    if capability.isdigit():
        return "mixed_bfloat16" if int(capability) >= 8 else "mixed_float16"
    native = {"avx512_bf16", "amx_bf16"} & set(_read_processor("flags").split())
    if native and name is None and keras.backend.backend() == "tensorflow":
        return "mixed_bfloat16"
    return "float32"


def describe_environment() -> dict[str, Any]:
    """Returns the record's `environment`: device, cores, backend, versions."""
    import keras

    return {
        "device": describe_device(),
        "cores": count_cores(),
        "backend": keras.backend.backend(),
        "versions": describe_versions(),
    }


def describe_products() -> dict[str, str]:
    """Returns the record's `note` on how a GPU multiplies float32; none on a CPU."""
    import keras

    if keras.backend.backend() != "jax" or not has_accelerator():
        return {}
    import jax

    precision = jax.config.jax_default_matmul_precision or "default"
    return {"note": f"JAX's precision of products of float32: {precision}."}


def describe_commit() -> dict[str, Any]:
    """Returns the record's `git`: the commit of this package and whether it is clean.

    Both are None where the package comes from neither a checkout nor a repository.
    """
    checkout = find_checkout()
    if checkout and (checkout / ".git").exists():
        commit = _ask_git(checkout, "rev-parse", "HEAD")
        # Records that this very run writes do not make the code unclean.
        changes = _ask_git(
            checkout, "status", "--porcelain", "--", ".", ":(exclude)book/records"
        )
        return {"commit": commit, "clean": None if changes is None else not changes}
    try:
        distribution = importlib.metadata.distribution("tutorials_lib")
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    except importlib.metadata.PackageNotFoundError:
        origin = {}
    commit = origin.get("vcs_info", {}).get("commit_id")
    return {"commit": commit, "clean": True if commit else None}


def _ask_git(folder, *words):
    try:
        command = ["git", "-C", str(folder), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def examine() -> tuple[list[str], list[str]]:
    """Examines the machine; returns lines to print, and what is missing."""
    missing: list[str] = []
    found = {
        **describe_versions(),
        "checkout": find_checkout() or "none",
        "records": published_folder(),
        "runs": runs_folder(),
        "backend": _examine_backend(missing),
        "data": _examine_data(missing),
    }
    for tool, command in TOOLS.items():
        found[tool] = find_version(tool) or "missing"
        if found[tool] == "missing":
            missing.append(f"{tool}, which `{command}` needs")
    return [f"{name:<14} {said}" for name, said in found.items()], missing


def _examine_backend(missing):
    try:
        if not any(map(importlib.util.find_spec, ("tensorflow", "jax"))):
            raise ImportError("neither is installed")
        import keras

        backend = keras.backend.backend()
        return f"{backend} on {describe_device()}, {count_cores()} cores"
    except Exception as error:
        missing.append(
            f"a working backend, TensorFlow or JAX, as KERAS_BACKEND chooses "
            f"({type(error).__name__}: {error})"
        )
        return "none"


def _examine_data(missing):
    folder = os.environ.get("TUTORIALS_DATA")
    if not folder:
        return (
            f"keras.datasets, cached in {find_downloads()}; set TUTORIALS_DATA to read "
            f".npz files from a folder; profile smoke needs no data"
        )
    lines = [f"TUTORIALS_DATA = {folder}"]
    for name in sorted({article["dataset"] for article in ARTICLES.values()}):
        try:
            lines.append(load_dataset(name).describe())
        except DataError as error:
            missing.append(str(error))
            lines.append(f"{name}: not usable")
    return f"\n{'':<15}".join(lines)
