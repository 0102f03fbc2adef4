"""What this room brings to commands, doctor, reports and demo."""

from storefront.colorme import checks, commands, plans, reports
from storefront.rim import Rim, Secret

RIM = Rim(
    commands=[commands.plans_command, commands.daily, commands.restored, commands.resolve],
    secrets=[
        Secret(
            "colorme_webhook_secret",
            called="the webhook secret",
            blank="set it to the one that Color Me has issued for the app",
            ours_too="make a key of its own: Color Me knows the other one",
        ),
        Secret(
            "colorme_client_secret",
            called="the client secret",
            blank="set it to the one that Color Me has issued for the app",
            ours_too="make a key of its own: Color Me knows the other one",
        ),
    ],
    configured=[checks.hooks, checks.threads, checks.closing],
    recorded=[checks.plans_on_offer, checks.open_cases],
    reached=[checks.day],
    outstanding=reports.outstanding,
    load=plans.load_configured,
    fit=commands.fit,
    unfit=commands.unfit,
    platform="storefront.sandbox.colorme.demo",
)
