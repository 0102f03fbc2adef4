"""What this room brings to commands, doctor, reports and demo."""

from storefront.mixi import checks, commands, reports
from storefront.rim import Rim, Secret

RIM = Rim(
    commands=[commands.check],
    secrets=[
        Secret(
            "mixi_consumer_secret",
            called="the consumer secret",
            blank="set it to the consumer secret of the application's RESTful API",
            ours_too="make a key of its own: mixi knows the other one",
        )
    ],
    configured=[checks.addresses, checks.threads, checks.certificates],
    recorded=[checks.outstanding, checks.tests],
    reached=[checks.platform_clock, checks.confirming],
    outstanding=reports.outstanding,
    platform="storefront.sandbox.mixi.demo",
)
