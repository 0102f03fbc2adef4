"""mixi in a demo, and the shop that is an app there."""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from storefront.sandbox import key_pairs
from storefront.sandbox.cast import BY_KEY
from storefront.sandbox.server import APP_ID, Server, Street
from storefront.sandbox.settings import SandboxSettings

# So that nobody who tries things out waits a minute: the least that the shop takes, and a short breath.
VOID_AFTER, CONFIRM_PAUSE = 11, 3
CALLS_AT_ONCE = 4  # as many as the shop's threads allow there: a robot buys for many at once
TEST_OWNERS = "STOREFRONT_MIXI_TEST_OWNERS"  # whoever puts the app in development says so to the shop, too


def environment(street: Street) -> Mapping[str, str]:
    folder = street.data.resolve() / "keys"
    certificate = key_pairs.certificate(folder)
    key, secret = (street.secrets[f"SANDBOX_CONSUMER_{part}"] for part in ("KEY", "SECRET"))
    return {
        "SANDBOX_APP_ID": APP_ID,
        "SANDBOX_APP_NAME": street.name,
        "SANDBOX_APP_NAME_EN": street.name_en,
        "SANDBOX_PUBLIC_URL": street.here,
        "SANDBOX_SHOP_URL": street.shop,
        "PROVIDER_PLATFORM_URL": street.here,
        "GAME_PLATFORM_URL": street.here,
        "SANDBOX_DATABASE_URL": street.sqlite("sandbox"),
        "SANDBOX_VOID_AFTER": str(VOID_AFTER),
        "SANDBOX_CONFIRM_PAUSE": str(CONFIRM_PAUSE),
        "SANDBOX_KEYS": str(folder),
        "SANDBOX_LIFECYCLE_KEY_NAME": key_pairs.NAME,
        **({"SANDBOX_SHOP_CA": str(street.shop_ca.resolve())} if street.shop_ca else {}),
        "STOREFRONT_MIXI_APP_ID": APP_ID,
        "STOREFRONT_MIXI_CONSUMER_KEY": key,
        "STOREFRONT_MIXI_CONSUMER_SECRET": secret,
        "STOREFRONT_MIXI_CONTAINER_URL": f"{street.here}/ma/{APP_ID}/",
        "STOREFRONT_MIXI_POINT_URL": f"{street.here}/atom/mobile/point/@me",
        "STOREFRONT_MIXI_CONFIRM_URL": f"{street.here}/atom/mobile/point/@me",
        "STOREFRONT_MIXI_PLATFORM_HOSTS": urlsplit(street.here).netloc,
        "STOREFRONT_MIXI_APP_URL": f"{street.here}/",
        "STOREFRONT_MIXI_VOID_AFTER": str(VOID_AFTER),
        "STOREFRONT_MIXI_CONFIRM_PAUSE": str(CONFIRM_PAUSE),
        "STOREFRONT_MIXI_CALLS_AT_ONCE": str(CALLS_AT_ONCE),
        TEST_OWNERS: os.environ.get(TEST_OWNERS) or BY_KEY["mika"].owner_id,
        "STOREFRONT_MIXI_CERTIFICATES": f"{key_pairs.LIFECYCLE}:{key_pairs.NAME}={certificate}",
        "STOREFRONT_MIXI_CERTIFICATE_URL": f"{street.here}/certificates/{{channel}}/{{name}}.pem",
    }


SERVER = Server(
    "sandbox",
    port=8001,
    threads=32,
    serves="storefront.sandbox:create_sandbox()",
    settings=SandboxSettings,
    environment=environment,
    secrets={"SANDBOX_SECRET_KEY": 20, "SANDBOX_CONSUMER_KEY": 10, "SANDBOX_CONSUMER_SECRET": 20},
)
