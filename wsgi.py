"""The shop, for a WSGI server: `gunicorn wsgi:app`."""

from gunicorn.errors import AppImportError

from storefront import create_app, read_pages
from storefront.config import SettingsError

try:
    app = create_app()
except SettingsError as error:
    raise AppImportError(str(error)) from None  # the server prints it and stops
read_pages(app)
