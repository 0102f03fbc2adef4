"""The storefront command in a process of its own, with a test's settings in its environment."""

import subprocess
from subprocess import CompletedProcess

from pydantic import SecretStr

from storefront import Settings
from storefront.config import PREFIX
from tests.demo import COMMAND
from tests.proof.served import without_settings

FILES = {"mixi_certificates"}  # named by their files in an environment, and needed by no command


def run(settings: Settings, *words: str) -> CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *words], env=environment(settings), capture_output=True, text=True, timeout=120
    )


def environment(settings: Settings) -> dict[str, str]:
    named = settings.model_fields_set - FILES
    return without_settings({PREFIX + name.upper(): _plain(getattr(settings, name)) for name in named})


def _plain(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(value) if isinstance(value, tuple) else str(value)
