"""What the provider is told from outside."""

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from storefront.sandbox.provider.addresses import origin
from storefront.sandbox.settings import CertificateFile, ours


class ProviderSettings(BaseSettings):
    """Read from the environment, with the prefix PROVIDER_; never changed afterwards."""

    model_config = SettingsConfigDict(env_prefix="PROVIDER_", frozen=True, hide_input_in_errors=True)

    name: str = Field(default="港まちペイ", min_length=1, description="Our own name, as buyers see it.")
    public_url: str = Field(description="Where buyers reach this provider.")
    secret_key: SecretStr = Field(min_length=16)
    merchant: str = Field(pattern=r"^[0-9A-Za-z_-]{1,64}$", description="The one shop we work for.")
    merchant_name: str = Field(default="加盟店", min_length=1, description="Its name, as buyers see it.")
    merchant_secret: SecretStr = Field(min_length=1, description="Signs both ways between it and us.")
    notice_url: str = Field(description="Where the shop hears of payments.")
    shop_url: str = Field(description="The only origin that buyers are sent back to.")
    shop_ca: CertificateFile | None = Field(
        default=None, description="The certificates (PEM) that a shop behind https is checked against."
    )
    database_url: SecretStr = SecretStr("sqlite:///provider.db")
    platform_url: str = Field(default="", description="The desk of the platform beside us, if there is one.")
    desk_token: SecretStr = Field(default=SecretStr(""), description="Opens weather and statement to it.")

    notice_seconds: int = ours(10, "How long a notice may take to be answered.")
    timestamp_skew: int = ours(300, "How many seconds the shop's clock may be off.")

    @field_validator("public_url", "shop_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if origin(value) is None or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("must be http:// or https://, host and port only")
        return f"{parts.scheme}://{parts.netloc}"

    @field_validator("notice_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if origin(value) is None or urlsplit(value).fragment:
            raise ValueError("must begin with http:// or https:// and a host")
        return value
