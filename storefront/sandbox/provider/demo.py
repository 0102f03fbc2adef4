"""The payment provider in a demo, and the shop that it pays."""

from collections.abc import Mapping

from storefront.sandbox.provider.settings import ProviderSettings
from storefront.sandbox.server import Server, Street

MERCHANT = "storefront"


def environment(street: Street) -> Mapping[str, str]:
    return {
        "PROVIDER_PUBLIC_URL": street.here,
        "PROVIDER_MERCHANT": MERCHANT,
        "PROVIDER_MERCHANT_NAME": street.name,
        "PROVIDER_NOTICE_URL": f"{street.shop}/external/notices",
        "PROVIDER_SHOP_URL": street.shop,
        "PROVIDER_DATABASE_URL": street.sqlite("provider"),
        **({"PROVIDER_SHOP_CA": str(street.shop_ca.resolve())} if street.shop_ca else {}),
        "SANDBOX_PROVIDER_URL": street.here,
        "SANDBOX_PROVIDER_TOKEN": street.secrets["PROVIDER_DESK_TOKEN"],
        "STOREFRONT_EXTERNAL_PROVIDER_URL": f"{street.here}/pay",
        "STOREFRONT_EXTERNAL_MERCHANT": MERCHANT,
        "STOREFRONT_EXTERNAL_SECRET": street.secrets["PROVIDER_MERCHANT_SECRET"],
    }


SERVER = Server(
    "provider",
    port=8002,
    threads=8,
    serves="storefront.sandbox.provider:create_provider()",
    settings=ProviderSettings,
    environment=environment,
    secrets={"PROVIDER_SECRET_KEY": 20, "PROVIDER_MERCHANT_SECRET": 20, "PROVIDER_DESK_TOKEN": 20},
)
