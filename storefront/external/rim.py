"""What this room brings to commands, doctor, reports and demo."""

from storefront.external import checks, commands, example, reports
from storefront.rim import Rim

RIM = Rim(
    commands=[commands.malfunctions],
    recorded=[checks.door_out],
    registration=reports.registration,
    platform="storefront.sandbox.provider.demo",
    furnish=example.open_door,
)
