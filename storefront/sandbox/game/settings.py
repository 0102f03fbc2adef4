"""What the sample game is told from outside."""

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from storefront.sandbox.settings import CertificateFile, ours


class GameSettings(BaseSettings):
    """Read from the environment, with the prefix GAME_; never changed afterwards."""

    model_config = SettingsConfigDict(env_prefix="GAME_", frozen=True, hide_input_in_errors=True)

    public_url: str = Field(description="Where people reach the town.")
    secret_key: SecretStr = Field(min_length=16)
    shop_url: str = Field(description="The shop that sells into the town.")
    shop_ca: CertificateFile | None = Field(
        default=None, description="The certificates (PEM) that a shop behind https is checked against."
    )
    token: SecretStr = Field(min_length=1, description="The shop's STOREFRONT_GAME_TOKEN.")
    database_url: SecretStr = SecretStr("sqlite:///game.db")
    platform_url: str = Field(description="The platform from whose phones people come.")
    door_secret: SecretStr = Field(min_length=16, description="Signs the addresses by which they come.")
    desk_token: SecretStr = Field(min_length=16, description="Opens the platform's desk to what we tell it.")

    pass_seconds: int = ours(60, "How long such an address is good.")
    call_seconds: int = ours(5, "How long an answer of the shop's may take.")
    poll_seconds: int = ours(5, "How often the shop is asked for what is new; 0 is at each look.", least=0)
    changes_at_once: int = ours(1000, "How many changes are asked for at once.")
    pages_at_once: int = ours(5, "How often in a row, when there are more.")

    @field_validator("public_url", "shop_url", "platform_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError("must begin with http:// or https:// and a host")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("must be scheme, host and port only")
        return f"{parts.scheme}://{parts.netloc}"
