"""The provider's own database, emptied whenever its shape changes."""

from flask import Flask
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
reading, transaction = file.reading, file.transaction


def init_app(app: Flask) -> None:
    """Open the database and give it this version's tables."""
    file.init_app(app)
    with app.app_context(), transaction() as session:
        file.is_current(session)
