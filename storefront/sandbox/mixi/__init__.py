"""mixi, imitated: the container, the point API, the point interface and the caller."""

from flask import Flask

from storefront.sandbox.mixi import api, container, interface


def init_app(app: Flask) -> None:
    """Open the three doors of the platform; the caller has none."""
    app.register_blueprint(container.blueprint)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(interface.blueprint)
