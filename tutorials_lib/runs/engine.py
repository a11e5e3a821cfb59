"""The engine that papermill runs notebooks with: `papermill --engine tutorials`."""

import functools
import logging
import os
import re
import sys
import types
from typing import Any

from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import (
    NBClientEngine,
    NotebookExecutionManager,
    papermill_engines,
)
from tqdm.auto import tqdm

# Of a kernel: figures go into the notebook, and TensorFlow starts in silence.
KERNEL_ENVIRONMENT = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")
# Passes on what cells print, above the progress bar.
show_output = types.SimpleNamespace(
    write=functools.partial(tqdm.write, end=""), flush=lambda: sys.stdout.flush()
)


class TutorialsEngine(NBClientEngine):
    """The engine that papermill knows as `tutorials`.

    It ends the kernel at once where Ctrl-C ends the run. A kernel that is asked to end
    amid a cell says so in a traceback of its own, and one that was starting would
    outlive the command.
    """

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, **options: Any
    ) -> None:
        """Executes the notebook's cells; papermill calls this."""
        client = PapermillNotebookClient(
            nb_man,
            kernel_name=kernel_name,
            timeout=options.get("execution_timeout"),
            startup_timeout=options["start_timeout"],
            shutdown_kernel="immediate",
            **{x: options[x] for x in ("log_output", "stdout_file", "stderr_file")},
        )
        try:
            client.execute(env={**os.environ, **KERNEL_ENVIRONMENT}, cleanup_kc=False)
            client.shutdown_kernel = "graceful"
        except KeyboardInterrupt:
            # What waited for the kernel would tell, at the very end, that it died.
            logging.getLogger("asyncio").disabled = True
            raise
        finally:
            if client.km is not None:
                client._cleanup_kernel()


papermill_engines.register("tutorials", TutorialsEngine)
