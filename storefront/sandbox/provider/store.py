"""The provider's own database, emptied whenever its shape changes."""

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from storefront.sandbox.storefile import StoreFile

# Raise it with every change of a table.
SHAPE = 4

db = SQLAlchemy()


class Base(DeclarativeBase):
    """The tables of the provider; the platform has its own."""

    metadata = db.metadata


# The shop acts on what the provider tells it, so that must not be forgotten when the power fails.
file = StoreFile(db, SHAPE, "FULL")
reading, transaction, init_app = file.reading, file.transaction, file.open
