"""Runs a module that does not outlive who started it: `python -P tether.py PIPE MODULE [WORD …]`.

Whoever starts it holds the other end of the pipe, and lets go of it at the end, also at that of `kill -9`.
"""

import os
import runpy
import signal
import sys
from threading import Thread


def main() -> None:
    pipe, module = int(sys.argv[1]), sys.argv[2]
    Thread(target=_end_with, args=(pipe,), daemon=True).start()
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with(pipe: int) -> None:
    os.read(pipe, 1)  # nothing is ever said: it ends
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
