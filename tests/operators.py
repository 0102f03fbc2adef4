"""The operator before their pages, let in by an address of the command."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from flask import Flask
from flask_babel import LazyString, force_locale
from lxml import html
from sqlalchemy import select
from werkzeug.test import TestResponse

from storefront.db import db
from storefront.operator import login
from storefront.operator.login import Login
from tests.street import SHOP

LINE_BREAK = re.compile(r"^\r?\n")


class Operator:
    """Their browser."""

    def __init__(self, app: Flask, language: str = "en", name: str = "Umi") -> None:
        self.app, self.client = app, app.test_client()
        self.language = language
        target = operator_address(app)
        token = dict(parse_qsl(urlsplit(target).query))["token"]
        assert self.client.post("/operator", data={"token": token, "name": name}).status_code == 303

    def nonce(self) -> str:
        """What names this visit in the database."""
        with self.app.app_context():
            newest = select(Login.nonce).order_by(Login.opened_at.desc()).limit(1)
            return db.session.scalars(newest).one()

    def get(self, path: str, language: str = "") -> TestResponse:
        return self.client.get(path, headers={"Accept-Language": language or self.language})

    def post(self, path: str, fields: Mapping[str, str], language: str = "") -> TestResponse:
        headers = {"Accept-Language": language or self.language}
        return self.client.post(path, data=dict(fields), headers=headers)

    def fill(self, path: str, changed: Mapping[str, str], language: str = "") -> TestResponse:
        """Open a page, change some of its form's fields, and send it; "" empties a field or a tick."""
        found = fields_of(self.get(path, language).text, path)
        sent = {
            name: value for name, value in {**found, **changed}.items() if value or found.get(name) != "y"
        }
        return self.post(path, sent, language)


def operator_address(app: Flask) -> str:
    """A fresh address of the operator's, inside the shop."""
    with app.test_request_context():
        return login.address().removeprefix(SHOP)


def in_words(app: Flask, text: LazyString | str, language: str = "en") -> str:
    """What the shop's own words are in a language."""
    with app.test_request_context(), force_locale(language):
        return str(text)


def fields_of(text: str, action: str) -> dict[str, str]:
    """What the form that leads to `action` would send as it stands; a form may leave out its action."""
    forms = [form for form in html.fromstring(text).forms if urlsplit(form.action or action).path == action]
    assert len(forms) == 1, text
    # The line break that a textarea begins with is none of its text.
    return {str(name): LINE_BREAK.sub("", str(value)) for name, value in forms[0].form_values()}
