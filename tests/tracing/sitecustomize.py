"""Notes which files of its working directory each stage of `dvc repro` reads, its own source files included.

Python imports a module of this name when it starts, so this runs first in every process that has this folder on
PYTHONPATH: in the stages, whose name DVC_STAGE holds, and in the workers that they start. ``tests/tracing`` is no
package: nothing else of the tests is imported there. TRACED names the folder for the notes, a line for each file:
``import`` or ``read``, and its path. What C++ opens is not seen: Arrow's tables.
"""

import os
import sys


def _trace(notes: str) -> None:
    root = os.getcwd() + os.sep
    seen: set[tuple[str, bool]] = set()

    def note(event: str, arguments: tuple) -> None:
        if event != "open" or not isinstance(arguments[0], str):
            return
        path, _, flags = arguments
        if (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        path = os.path.abspath(path)
        imported = sys._getframe(1).f_code.co_filename == "<frozen importlib._bootstrap_external>"
        if path.startswith(root) and (path, imported) not in seen and os.path.isfile(path):
            seen.add((path, imported))
            handle = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)  # workers may be killed: written at once
            os.write(handle, f"{'import' if imported else 'read'} {path.removeprefix(root)}\n".encode())
            os.close(handle)

    sys.addaudithook(note)


if "TRACED" in os.environ and "DVC_STAGE" in os.environ:
    _trace(os.path.join(os.environ["TRACED"], os.environ["DVC_STAGE"]))
