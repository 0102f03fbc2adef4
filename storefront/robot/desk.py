"""The desk as the robot uses it: a stage of its own, the presses of the sandbox, and what it says."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from storefront.robot.buyer import Browser, Form, Page, Unreachable, origin
from storefront.robot.shop import Json


class CannotDo(Exception):
    """There is nothing to press for this; what must be seen decides whether that is right."""


@dataclass(frozen=True)
class Street:
    """Where the platform stands, and how long the shop takes its time."""

    platform: str
    void_after: int = 60
    confirm_pause: int = 60
    payment_seconds: int = 1800
    seed: int | None = None
    promised: frozenset[str] = frozenset()  # what walkthroughs need, and the shop's settings say
    is_new: bool = False  # a demo that nobody has been in before
    operator: Callable[[], str] | None = None  # a fresh address of theirs


class Desk:
    """One browser's stage at the platform: its session is shared by all the people it plays."""

    def __init__(self, street: Street, home: str = "/") -> None:
        self.street, self.platform = street, street.platform
        self.people: list[Browser] = []
        self.line = Browser(heard=self._share)
        self.token = self._token(home)

    def browser(self) -> Browser:
        """A browser of somebody who plays on this stage: the platform's session, and cookies of their own."""
        one = Browser(heard=self._share)
        for cookie in self.line.http.cookies:
            one.http.cookies.set_cookie(cookie)
        self.people.append(one)
        return one

    def read(self, path: str) -> Json:
        answer = self.line.get(self.platform + path)
        if answer.status != 200:
            raise Unreachable(f"{self.platform}{path}: status {answer.status}")
        return read_json(answer)

    def read_list(self, path: str) -> Sequence[Json]:
        found: Sequence[Json] = _parsed(self.line.get(self.platform + path))
        return found

    def press(self, path: str, browser: Browser | None = None, /, **fields: str) -> Page:
        """Send a form of the desk's."""
        form = Form(self.platform + path, "POST", (("form_token", self.token),), (), ())
        page = Page(self.platform + "/", 200, {}, b"")
        answer = (browser or self.line).send(page, form, **fields)
        if answer.origin == self.platform and answer.status == 400:
            raise CannotDo(f"the desk does not take {path} {fields}")
        return answer

    def _share(self, answer: requests.Response) -> None:
        """What the platform gave one of them to keep, all keep."""
        if origin(str(answer.url)) != self.platform:
            return
        for cookie in answer.cookies:
            for one in (self.line, *self.people):
                one.http.cookies.set_cookie(cookie)

    def _token(self, home: str) -> str:
        page = self.line.get(self.platform + home)
        tokens = [dict(form.fields).get("form_token") for form in page.forms()]
        token = next((token for token in tokens if token), None)
        if page.status != 200 or token is None:
            raise Unreachable(f"{self.platform}{home} is no page of a sandbox's")
        return token


def read_json(page: Page) -> Json:
    found: Json = _parsed(page)
    return found


def _parsed(page: Page) -> Any:
    try:
        return json.loads(page.body)
    except (ValueError, RecursionError):
        raise Unreachable(f"{page.url} is no sandbox's: status {page.status}, and no JSON") from None
