"""What this room brings to commands, doctor, reports and demo."""

from storefront.external import checks, commands, example, reports
from storefront.rim import Rim, Secret

RIM = Rim(
    commands=[commands.malfunctions],
    secrets=[
        Secret(
            "external_secret",
            called="the provider's secret",
            blank="agree upon one with the provider",
            ours_too="make a key of its own: the provider knows the other one",
        )
    ],
    recorded=[checks.door_out],
    registration=reports.registration,
    platform="storefront.sandbox.provider.demo",
    furnish=example.open_door,
)
