"""The app store's own database, emptied whenever its shape changes."""

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from storefront.sandbox.storefile import StoreFile

# Raise it with every change of a table.
SHAPE = 2

db = SQLAlchemy()


class Base(DeclarativeBase):
    """The tables of the app store; platform and provider have their own."""

    metadata = db.metadata


# The app acts on what the store tells it, so that must not be forgotten when the power fails.
file = StoreFile(db, SHAPE, "FULL")
reading, transaction, init_app = file.reading, file.transaction, file.open
