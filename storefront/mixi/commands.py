"""What the operator can do about one payment."""

import click

from storefront import rim
from storefront.clock import Deadline
from storefront.mixi import outstanding, payments, questions
from storefront.mixi.channel import channel
from storefront.mixi.client import Unavailable
from storefront.mixi.questions import NotVoid

CHECK_SECONDS = 10


@click.command()
@click.argument("code")
@click.option("--void", is_flag=True, help="Take it back, unless mixi says that it took the points.")
@click.option("--reason", help="Why; kept with the payment. --void needs one.")
def check(code: str, void: bool, reason: str | None) -> None:
    """Ask mixi about one payment, put ours in line with its answer, and print both sides."""
    if void and not 0 < len((reason or "").strip()) <= payments.REASON_LENGTH:
        raise click.UsageError(
            "--void needs --reason: say, in 200 characters at most, how you know that no points were taken"
        )
    with rim.shop().app_context():
        before = outstanding.word_for(code)
        if before is None:
            raise click.ClickException(f"no payment has the code {code}")
        click.echo(f"ours    {before}")
        answer = _void(code, str(reason).strip()) if void else _ask(code)
        click.echo(f"mixi's  {answer}")
        click.echo(f"now     {outstanding.word_for(code)}")


def _ask(code: str) -> str:
    try:
        answer = questions.ask(channel(), code, Deadline.after(CHECK_SECONDS))
    except Unavailable as failure:
        return f"no answer: {failure}"
    return str(answer)


def _void(code: str, reason: str) -> str:
    try:
        return str(questions.void(channel(), code, reason, Deadline.after(CHECK_SECONDS)))
    except NotVoid as why:
        raise click.ClickException(f"not made void: {why}") from None
    except Unavailable as failure:
        raise click.ClickException(f"not made void: mixi did not answer ({failure})") from None
