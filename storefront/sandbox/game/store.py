"""The town's own database, emptied whenever its shape changes: it is read from the shop anew."""

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from storefront.sandbox.storefile import StoreFile

# Raise it with every change of a table.
SHAPE = 1

db = SQLAlchemy()


class Base(DeclarativeBase):
    """The tables of the game; platform and provider have their own."""

    metadata = db.metadata


# A key that was sent to the shop must not be forgotten when the power fails: it asks for the same use again.
file = StoreFile(db, SHAPE, "FULL")
reading, transaction, init_app = file.reading, file.transaction, file.open
