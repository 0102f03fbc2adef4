"""gunicorn's configuration in a run: every answer names the worker that gave it.

Left to chance, all connections may be accepted by one worker while the other sleeps; the senders
need the name to share them out evenly.
"""

import os
from typing import Any


def post_worker_init(worker: Any) -> None:
    """Called by gunicorn in each worker, once its application is loaded."""
    application, name = worker.wsgi, str(os.getpid())

    def tagged(environ: dict[str, Any], start_response: Any) -> Any:
        def begin(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, ("X-Worker", name)], exc_info)

        return application(environ, begin)

    worker.wsgi = tagged
