"""The app store in a demo, and the shop that is an app there."""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from storefront.sandbox.colorme import walkthroughs
from storefront.sandbox.colorme.settings import AppStoreSettings
from storefront.sandbox.colorme.shops import TEST_RANGE
from storefront.sandbox.server import Server, Street

CLIENT_ID = "lighthouse-tools"
# Both sides read the same files, each with a reader of its own.
FILES = {"STOREFRONT_COLORME_PLANS": "APPSTORE_PLANS", "STOREFRONT_CATALOG": "APPSTORE_CATALOG"}


def environment(street: Street) -> Mapping[str, str]:
    named = {theirs: os.environ.get(name) for name, theirs in FILES.items()}
    files = {name: str(Path(file).resolve()) for name, file in named.items() if file}
    client_secret, webhook_secret = (
        street.secrets[f"APPSTORE_{name}_SECRET"] for name in ("CLIENT", "WEBHOOK")
    )
    return {
        "APPSTORE_PUBLIC_URL": street.here,
        "APPSTORE_CLIENT_ID": CLIENT_ID,
        "APPSTORE_SHOP_URL": street.shop,
        "APPSTORE_APP_NAME": street.name,
        "APPSTORE_APP_NAME_EN": street.name_en,
        "APPSTORE_DATABASE_URL": street.sqlite("appstore"),
        "APPSTORE_DAILY": shlex.join([str(Path(sys.executable).with_name("storefront")), "daily"]),
        **({"APPSTORE_SHOP_CA": str(street.shop_ca.resolve())} if street.shop_ca else {}),
        **files,
        "STOREFRONT_COLORME_CLIENT_ID": CLIENT_ID,
        "STOREFRONT_COLORME_CLIENT_SECRET": client_secret,
        "STOREFRONT_COLORME_WEBHOOK_SECRET": webhook_secret,
        "STOREFRONT_COLORME_TEST_ACCOUNTS": f"{TEST_RANGE}*",
        "STOREFRONT_COLORME_API_URL": street.here,
        "STOREFRONT_COLORME_STORE_URL": f"{street.here}/",
        "STOREFRONT_COLORME_CALENDAR_URL": f"{street.here}/calendar.json",
    }


SERVER = Server(
    "appstore",
    port=8003,
    threads=16,
    serves="storefront.sandbox.colorme:create_appstore()",
    settings=AppStoreSettings,
    environment=environment,
    chapters=walkthroughs.read,
    secrets={"APPSTORE_SECRET_KEY": 20, "APPSTORE_CLIENT_SECRET": 20, "APPSTORE_WEBHOOK_SECRET": 20},
    invites=("Sell by plan:", "be a shop owner, install the app on a plan, turn the calendar"),
)
