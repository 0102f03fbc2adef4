"""What we sell, who holds it, what it earned.

The kernel verbs `grant` and `record` join the caller's transaction and never commit. The room
knows entrances and channels as values; it knows no counter.
"""

from flask import Flask

from storefront.shop import errors, pages, views, words


def init_app(app: Flask) -> None:
    app.session_interface = words.Cookies()
    app.register_blueprint(views.blueprint)
    pages.init_app(app)
    errors.init_app(app)
