"""The engine that papermill runs notebooks with: `papermill --engine tutorials`."""

import logging
import os
import re
import sys
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


class _Client(PapermillNotebookClient):
    """Runs the cells, and ends the kernel at once where Ctrl-C ends the run.

    A kernel that is asked to end amid a cell says so in a traceback of its own, and one
    that was starting would outlive the command.
    """

    def execute(self, **kwargs):
        self.shutdown_kernel = "immediate"
        try:
            return super().execute(**kwargs)
        except KeyboardInterrupt:
            # What waited for the kernel would tell, at the very end, that it died.
            logging.getLogger("asyncio").disabled = True
            raise
        finally:
            if self.km is not None:
                self._cleanup_kernel()

    def papermill_execute_cells(self):
        super().papermill_execute_cells()
        self.shutdown_kernel = "graceful"


class TutorialsEngine(NBClientEngine):
    """The engine that papermill knows as `tutorials`."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, **options: Any
    ) -> None:
        """Executes the notebook's cells; papermill calls this."""
        _Client(
            nb_man,
            kernel_name=kernel_name,
            timeout=options.get("execution_timeout"),
            startup_timeout=options["start_timeout"],
            **{x: options[x] for x in ("log_output", "stdout_file", "stderr_file")},
        ).execute(env={**os.environ, **KERNEL_ENVIRONMENT})


papermill_engines.register("tutorials", TutorialsEngine)


class CellOutput:
    """Passes on what cells print, a line at a time, above the progress bar.

    Where no terminal reads it, colours are left out.
    """

    def __init__(self) -> None:
        self._rest = ""

    def write(self, text: str) -> None:
        """Takes a text, of which lines that are whole are passed on."""
        if not sys.stdout.isatty():
            text = COLOUR_CODES.sub("", text)
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            tqdm.write(line, file=sys.stdout)

    def flush(self) -> None:
        """Shows what was passed on."""
        sys.stdout.flush()
