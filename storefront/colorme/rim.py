"""What this room brings to commands, doctor, reports and demo."""

from storefront.colorme import commands, plans
from storefront.rim import Rim

RIM = Rim(
    commands=[commands.plans_command, commands.daily],
    load=plans.load_configured,
    platform="storefront.sandbox.colorme.demo",
)
