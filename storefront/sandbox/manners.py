"""How a process of the sandbox answers: guarded forms, headers, and well-made error pages."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, InternalServerError

from storefront.sandbox import form_tokens

FORMS = "form-action 'self'"
POLICY = f"default-src 'none'; img-src 'self'; style-src 'self'; {FORMS}; base-uri 'none'"


@dataclass(frozen=True)
class Manners:
    """Those of a neighbour of the platform; `template` is of its error pages."""

    template: str
    titles: Mapping[int, str]
    otherwise: str  # the title for every other status
    any_name: Callable[[], bool]  # whether this request may come to us by whatever name
    advice: Mapping[int, str] = field(default_factory=dict)
    is_api: Callable[[], bool] = lambda: False  # there no form of ours is sent, and no page read
    failed: Callable[[int], Response] | None = None  # what an API answers in the place of a page

    def init_app(self, app: Flask, public_url: str, opens: Iterable[str] = ()) -> None:
        """Guard the app, and dress its errors; from its forms one may come to what it `opens`."""

        def guard() -> None:
            # A page of another site that leads its name to us gets nothing of ours.
            if request.host != urlsplit(public_url).netloc and not self.any_name():
                abort(421)
            if request.method == "POST" and request.url_rule is not None and not self.is_api():
                form_tokens.check(403)

        def head(response: Response) -> Response:
            return headed(response, f"{policy(sites(opens))}; frame-ancestors 'none'")

        app.before_request(guard)
        app.register_error_handler(HTTPException, lambda error: answered(error, self._answer))
        app.register_error_handler(Exception, lambda _: stumbled(self._answer))
        app.after_request(head)

    def page(self, status: int, reason: str = "") -> Response:
        """The error page of a status."""
        title, advice = self.titles.get(status, self.otherwise), self.advice.get(status)
        said = {"title": title, "advice": advice, "reason": reason, "status": status}
        return Response(render_template(self.template, **said), status)

    def _answer(self, status: int) -> Response:
        return self.failed(status) if self.failed and self.is_api() else self.page(status)


def answered(error: HTTPException, page: Callable[[int], Response]) -> ResponseReturnValue:
    """The page of a process in the place of the framework's, with the headers that belong to the error."""
    if error.response is not None:
        return error.response
    response = page(error.code or 500)
    if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers.extend([(name, value) for name, value in error.get_headers() if name == "Allow"])
    return response


def stumbled(page: Callable[[int], Response]) -> ResponseReturnValue:
    """The same after an exception that nobody has foreseen."""
    current_app.logger.exception("%s stumbled", current_app.import_name)
    return answered(InternalServerError(), page)


def sites(addresses: Iterable[str]) -> str:
    """Where these are, as a policy names it."""
    return " ".join(sorted({f"{scheme}://{host}" for scheme, host, *_ in map(urlsplit, addresses)}))


def policy(opens: str) -> str:
    """What a page may load, and which sites its forms may lead to, by a redirect, too."""
    return POLICY.replace(FORMS, f"{FORMS} {opens}") if opens else POLICY


def headed(response: Response, policy: str | None) -> Response:
    """With the headers of all that we send; what has no policy may be kept, and is not ours to restrict."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers["X-Robots-Tag"] = "noindex"
    if policy and request.endpoint != "static":
        response.headers["Content-Security-Policy"] = policy
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cache-Control"] = "no-store"
    return response
