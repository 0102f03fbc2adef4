"""A deployment changes the files below a shop that goes on selling until it is started again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from storefront import Settings, create_app
from tests.command import environment
from tests.databases import fill
from tests.proof.served import ROOT
from tests.street import SETTINGS

# In a process of its own: the shop as a server has it; then its pages and what they say in Japanese go, and
# all of them are looked at.
LOOKS = """
import re
import shutil
from wsgi import app
shutil.rmtree("templates")
shutil.rmtree("storefront/translations")
pages = app.test_client()
for address in ("/", "/legal", "/operator", "/nowhere"):
    page = pages.get(address)
    print(page.status_code, "ja" if re.search("<h1>[^<]*[ぁ-ん]", page.text) else "en", end=" ")
"""


@pytest.mark.long
def test_pages_are_those_of_the_code(tmp_path: Path) -> None:
    """No page waits to be read until somebody asks for it: by then it may be a newer release's."""
    settings = Settings.model_validate({**SETTINGS, "database_url": f"sqlite:///{tmp_path}/shop.db"})
    fill(create_app(settings))
    for name in ("storefront", "templates", "static"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "wsgi.py", tmp_path)
    for left_there in ("._index.html", ".DS_Store", "index.html~"):  # by an editor, or another machine
        (tmp_path / "templates" / "shop" / left_there).write_bytes(b"\0\xff{% no page")
    done = subprocess.run(
        [sys.executable, "-c", LOOKS],
        cwd=tmp_path,
        env={**os.environ, **environment(settings), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = done.stdout.rpartition("\n")[2]
    assert said == "200 ja 200 ja 401 ja 404 ja ", done.stdout + done.stderr
