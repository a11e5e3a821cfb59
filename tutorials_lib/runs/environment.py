"""What a run happened on, and what a machine lacks: versions, device, commit, data."""

import contextlib
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
from typing import Any

from tutorials_lib import __version__
from tutorials_lib.runs.storage import (
    check_writable,
    find_checkout,
    published_folder,
    runs_folder,
)
from tutorials_lib.support.data import SPECIFICATIONS, find_downloads, load_dataset

VERSIONED = ("keras", "tensorflow", "jax", "numpy")
TOOLS = {
    "papermill": "tutorials run",
    "ipykernel": "tutorials run",
    "nbval": "tutorials check",
    "jupyter-book": "tutorials build",
}


def describe_versions() -> dict[str, str]:
    """Returns a dict of Python's and the installed packages' versions."""
    versions = {"python": platform.python_version(), "tutorials_lib": __version__}
    for name in VERSIONED:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def count_cores() -> int:
    """Counts the cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_processor() -> str:
    """Names the processor, as the system does."""
    return _read_processor("model name") or platform.processor() or platform.machine()


def _read_processor(field):
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(field):
                return " ".join(line.split(":", 1)[1].split())
    return ""


def _find_accelerator():
    """The name and the compute capability of the backend's GPU or TPU, if any."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        device = jax.devices()[0]
        if device.platform != "cpu":
            return device.device_kind, str(getattr(device, "compute_capability", ""))
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        for gpu in tensorflow.config.list_physical_devices("GPU"):
            details = tensorflow.config.experimental.get_device_details(gpu)
            numbers = details.get("compute_capability", ())
            return details.get("device_name", "GPU"), ".".join(map(str, numbers))
    return "", ""


def describe_device() -> str:
    """Names the device that Keras' backend computes on."""
    return _find_accelerator()[0] or describe_processor()


def has_accelerator() -> bool:
    """Tells whether Keras' backend has a GPU or TPU."""
    return bool(_find_accelerator()[0])


def choose_precision() -> str:
    """Chooses the policy of Keras by the device.

    `"mixed_bfloat16"` where bfloat16 is native (NVIDIA GPUs since Ampere, and under
    TensorFlow processors with instructions for it), `"mixed_float16"` on older GPUs
    such as Colab's T4, else `"float32"`.
    """
    import keras

    # NVIDIA's compute capability is 7.5 for a T4, 8.0 for an A100.
    name, capability = _find_accelerator()
    if capability[:1].isdigit():
        return "mixed_bfloat16" if float(capability) >= 8 else "mixed_float16"
    native = {"avx512_bf16", "amx_bf16"} & set(_read_processor("flags").split())
    if native and not name and keras.backend.backend() == "tensorflow":
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
        # Records that this very run writes do not make the code unclean.
        command = ["git", "-C", str(checkout), "status", "--porcelain=v2", "--branch"]
        command += ["--", ".", ":(exclude)book/records"]
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            commit, *lines = done.stdout.removeprefix("# branch.oid ").splitlines()
            clean = all(line.startswith("#") for line in lines)
            return {"commit": commit, "clean": clean}
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        package = importlib.metadata.distribution("tutorials_lib")
        origin = json.loads(package.read_text("direct_url.json") or "{}")
        if commit := origin.get("vcs_info", {}).get("commit_id"):
            return {"commit": commit, "clean": True}
    return {"commit": None, "clean": None}


def examine() -> tuple[list[str], list[str]]:
    """Examines the machine; returns lines to print, and what is missing."""
    missing = []

    def attempt(need, describe, *arguments):
        try:
            return describe(*arguments)
        except Exception as error:
            missing.append(f"{need}: {error}")
            return "missing"

    folder, runs = os.environ.get("TUTORIALS_DATA"), runs_folder()
    attempt("a folder for runs, TUTORIALS_RUNS", check_writable, runs)
    if not published_folder().is_dir():
        missing.append(f"published records: {published_folder()} is no folder.")
    said = "{backend} on {device}, {cores} cores"
    found = {
        **describe_versions(),
        "checkout": find_checkout() or "none",
        "records": published_folder(),
        "runs": runs,
        "backend": attempt(
            "a working backend, TensorFlow or JAX, as KERAS_BACKEND chooses",
            lambda: said.format(**describe_environment()),
        ),
        "data": folder or f"TUTORIALS_DATA is not set: downloads in {find_downloads()}",
    }
    for name in SPECIFICATIONS if folder else ():
        found[name] = attempt(name, lambda name: load_dataset(name).describe(), name)
    for tool, command in TOOLS.items():
        need = f"{tool}, which `{command}` needs"
        found[tool] = attempt(need, importlib.metadata.version, tool)
    return [f"{name:<14} {said}" for name, said in found.items()], missing
