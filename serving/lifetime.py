"""Children end with their parent, also when the parent is killed: `prctl(PR_SET_PDEATHSIG)` (Linux; man 2 prctl).

`python -m serving.lifetime MODULE ARGUMENT…` runs a module as such a child of `PERSONALIZATION_PARENT`, a pid.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with(parent: int, signal_number: int = signal.SIGKILL) -> None:
    """Have this process signalled when its parent (whose pid is `parent`) ends; exit if it ended already.

    Where the system is not Linux this does nothing, and a killed parent leaves its children running.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal_number)


if __name__ == "__main__":
    end_with(int(os.environ.pop("PERSONALIZATION_PARENT")), signal.SIGTERM)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
