"""What the app store is told from outside, and what it had to assume about the real one."""

from datetime import date
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, FilePath, SecretStr, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from storefront.sandbox.colorme.reckoning import RUNNING, TO_NEXT_MONTH
from storefront.sandbox.language import N_
from storefront.sandbox.settings import CertificateFile, fact, ours

PACKAGE = Path(__file__).parent.parent.parent

FIRST_PERIODS = {
    TO_NEXT_MONTH: N_("to the 9th of the next month, as it is written"),
    RUNNING: N_("to the end of the running 10th to 9th"),
}


class AppStoreSettings(BaseSettings):
    """Read from the environment, with the prefix APPSTORE_; never changed afterwards."""

    model_config = SettingsConfigDict(env_prefix="APPSTORE_", frozen=True, hide_input_in_errors=True)

    public_url: str = Field(description="Where shop owners and the app reach this store.")
    secret_key: SecretStr = Field(min_length=16)
    client_id: str = Field(min_length=1, description="The registered app, as it names itself.")
    client_secret: SecretStr = Field(min_length=1)
    webhook_secret: SecretStr = Field(min_length=1, description="Signs our hooks.")
    shop_url: str = Field(description="The server of the registered app.")
    install_url: str = Field(default="", description="Where it hears of installs, if not at the usual place.")
    uninstall_url: str = Field(default="", description="Where it hears of uninstalls, likewise.")
    settings_url: str = Field(default="", description="Its settings page, likewise.")
    redirect_uri: str = Field(default="", description="Where it takes OAuth codes, likewise.")
    app_id: str = Field(default="12", pattern=r"^[0-9]{1,12}$", description="Its number in the console.")
    app_name: str = Field(default="アプリ", min_length=1, description="Its name, as owners see it.")
    app_name_en: str = Field(default="", description="The same in English, if it has a name there.")
    shop_ca: CertificateFile | None = Field(
        default=None, description="The certificates (PEM) that an app behind https is checked against."
    )
    plans: FilePath = Field(default=PACKAGE / "colorme" / "plans.yaml", description="The app's plan file.")
    catalog: FilePath = Field(default=PACKAGE / "shop" / "catalog.yaml", description="Its catalogue.")
    database_url: SecretStr = SecretStr("sqlite:///appstore.db")
    daily: str = Field(
        default="", description="What is run at 23:30 and 00:30 of each day that the calendar passes."
    )
    begins: date = Field(default=date(2021, 7, 10), description="The calendar's first day; it is noon.")
    page_seconds: float = Field(
        default=2, ge=0, description="How long a page waits for the calendar before it shows how far it is."
    )

    resends: int = fact(19, N_("How often an uninstall hook is sent again."))
    resend_minutes: int = fact(150, N_("Minutes between two of these."))
    code_seconds: int = fact(600, N_("Seconds an OAuth code is good for."))
    description_length: int = fact(50, N_("The most characters a usage charge's description may have."))
    payout_minimum: int = ours(3000, N_("The least that is paid out, in yen; less is carried over."))
    payout_fee: int = ours(264, N_("The bank's fee for a payout, in yen."))
    hook_seconds: int = ours(10, N_("How long a hook may take to be answered."))
    per_minute: int = ours(120, N_("Requests a token may make in a minute; 0 is any number."), least=0)
    commission: int | None = Field(
        default=None,
        ge=0,
        le=100,
        description=N_("The store's commission, in per cent. It is not published, so none is set."),
        json_schema_extra={"source": "ours"},
    )
    first_period: Literal["next_month_9th", "running_block"] = Field(
        default="next_month_9th",
        description=N_("How far the first postpaid period reaches. The document can be read in two ways."),
        json_schema_extra={"source": "ours"},
    )

    @field_validator("public_url", "shop_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must begin with http:// or https:// and a host")
        if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
            raise ValueError("must be scheme, host and port only")
        return f"{parts.scheme}://{parts.netloc}"

    def app_called(self, language: str) -> str:
        """The app's name in this language."""
        return self.app_name if language == "ja" or not self.app_name_en else self.app_name_en

    @property
    def install_address(self) -> str:
        return self.install_url or f"{self.shop_url}/colorme/install"

    @property
    def uninstall_address(self) -> str:
        return self.uninstall_url or f"{self.shop_url}/colorme/uninstall"

    @property
    def settings_address(self) -> str:
        """What the app's name leads to, once it is installed."""
        return self.settings_url or f"{self.shop_url}/colorme/start"

    @property
    def redirect_address(self) -> str:
        return self.redirect_uri or f"{self.shop_url}/colorme/oauth"


Source = Literal["fact", "ours"]


def assumptions() -> dict[str, tuple[FieldInfo, Source]]:
    """The settings that imitate a rule of the store, each with where the rule comes from."""
    rules: dict[str, tuple[FieldInfo, Source]] = {}
    for name, field in AppStoreSettings.model_fields.items():
        if isinstance(field.json_schema_extra, dict):
            rules[name] = (field, "fact" if field.json_schema_extra["source"] == "fact" else "ours")
    return rules
