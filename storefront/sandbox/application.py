"""The registered app, as far as its developer can change it here."""

from enum import StrEnum

from sqlalchemy import update
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox.devices import Device
from storefront.sandbox.key_pairs import START_NAMES
from storefront.sandbox.language import N_
from storefront.sandbox.settings import SandboxSettings
from storefront.sandbox.store import Base, reading, transaction

MAINTENANCE = N_("The platform is closed for maintenance. The app was not asked.")


class Switch(StrEnum):
    """What the developer's page can turn on and off."""

    IN_DEVELOPMENT = "in_development"
    APPROVED = "approved"
    REPLACE_ERROR_PAGES = "replace_error_pages"
    HOLD_EVENTS = "hold_events"
    TOP_UP_MAINTENANCE = "top_up_maintenance"
    MAINTENANCE = "maintenance"


class Application(Base):
    """One row: the app this sandbox imitates the platform for."""

    __tablename__ = "application"

    app_id: Mapped[str] = mapped_column(primary_key=True)
    in_development: Mapped[bool]
    approved: Mapped[bool]
    replace_error_pages: Mapped[bool]
    hold_events: Mapped[bool]
    top_up_maintenance: Mapped[bool]
    maintenance: Mapped[bool]
    # The keys under which start addresses are signed now.
    smartphone_key: Mapped[str]
    pc_key: Mapped[str]

    def key_name(self, device: Device) -> str:
        """The name of the key under which the start address of this device is signed now."""
        return {Device.SMARTPHONE: self.smartphone_key, Device.PC: self.pc_key}[device]


def register(session: Session, settings: SandboxSettings) -> None:
    """Enter the app into the store as the settings describe it; if it is there, as far as they were given."""
    switches = {switch.value: getattr(settings, switch.value) for switch in Switch}
    known = session.get(Application, settings.app_id)
    if known:
        for name in switches.keys() & settings.model_fields_set:
            setattr(known, name, switches[name])
    else:
        names = {_column(device): name for device, name in START_NAMES.items()}
        session.add(Application(app_id=settings.app_id, **switches, **names))


def application(app_id: str) -> Application:
    """The app as it is set now."""
    with reading() as session:
        return session.get_one(Application, app_id)


def turn(app_id: str, switch: Switch, on: bool) -> None:
    """Set one switch."""
    with transaction() as session:
        session.execute(update(Application).where(Application.app_id == app_id).values({switch.value: on}))


def sign_with(app_id: str, device: Device, new: str, instead_of: str) -> None:
    """From now on the start address of this device is signed under another key; once, of two at once."""
    column = _column(device)
    with transaction() as session:
        still = (Application.app_id == app_id, getattr(Application, column) == instead_of)
        session.execute(update(Application).where(*still).values({column: new}))


def _column(device: Device) -> str:
    return f"{device.value}_key"
