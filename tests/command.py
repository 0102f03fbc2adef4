"""The storefront command, with a test's settings in its environment."""

import io
import os
import subprocess
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess
from unittest.mock import patch

import structlog
from pydantic import SecretStr

from storefront import Settings
from storefront.cli import main
from storefront.config import PREFIX
from tests.demo import COMMAND
from tests.proof.served import without_settings

FILES = {"mixi_certificates"}  # named by their files in an environment, and needed by no command


def run(settings: Settings, *words: str) -> CompletedProcess[str]:
    """In this process, which takes a tenth of the time and tells the same."""
    return call(environment(settings), *words)


def run_apart(settings: Settings, *words: str) -> CompletedProcess[str]:
    """In a process of its own."""
    return subprocess.run(
        [COMMAND, *words], env=environment(settings), capture_output=True, text=True, timeout=120
    )


def call(environment: Mapping[str, str], *words: str) -> CompletedProcess[str]:
    """As `run`; never of a command that serves."""
    out, errors, log = io.StringIO(newline=None), io.StringIO(newline=None), structlog.get_config()
    code: str | int | None = 0
    with patch.dict(os.environ, environment, clear=True), redirect_stdout(out), redirect_stderr(errors):
        try:
            main(words, prog_name="storefront")
        except SystemExit as end:
            code = end.code
        finally:
            structlog.configure(**log)
    return CompletedProcess(words, int(code or 0), out.getvalue(), errors.getvalue())


def environment(settings: Settings) -> dict[str, str]:
    named = settings.model_fields_set - FILES
    return without_settings({PREFIX + name.upper(): _plain(getattr(settings, name)) for name in named})


def _plain(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(value) if isinstance(value, tuple) else str(value)
