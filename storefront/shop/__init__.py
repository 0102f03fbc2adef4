"""What we sell, who holds it, what it earned.

The kernel verbs `grant` and `record` join the caller's transaction and never commit. The room
knows entrances and channels as values; it knows no counter.
"""

from flask import Flask

from storefront.shop import cookies, errors, identity, pages, views


def init_app(app: Flask) -> None:
    app.register_blueprint(views.blueprint)
    identity.init_app(app)
    cookies.init_app(app)
    pages.init_app(app)
    errors.init_app(app)
