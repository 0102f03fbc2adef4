"""The platform's own database, filled anew whenever its shape changes."""

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from storefront.sandbox.storefile import StoreFile

# Raise it with every change of a table.
SHAPE = 9

db = SQLAlchemy()


class Base(DeclarativeBase):
    """The tables of the platform. Plain SQLAlchemy, on the metadata of its own Flask-SQLAlchemy."""

    metadata = db.metadata


file = StoreFile(db, SHAPE, "NORMAL")
init_app, is_current = file.init_app, file.is_current
reading, transaction = file.reading, file.transaction
