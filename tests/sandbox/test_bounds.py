"""An app that does its worst, over real sockets: it is left in time, and nothing of ours stays with it."""

from collections.abc import Iterator

import pytest

from storefront.sandbox import create_sandbox
from storefront.sandbox.settings import SandboxSettings
from tests.demo import wait_for
from tests.proof import hostile
from tests.proof.hostile import Behaviour, HostileApi, point_api
from tests.sandbox.conftest import Phone

pytestmark = pytest.mark.long


@pytest.fixture
def app() -> Iterator[HostileApi]:
    with point_api() as api:
        yield api


@pytest.mark.parametrize(
    "behaviour",
    [
        hostile.silence,
        hostile.slow_head,
        hostile.header_lines_for_ever,
        hostile.slow_body,
        hostile.slow_chunk_length,
        hostile.trailers_for_ever,
        hostile.hundred_megabytes,
    ],
    ids=lambda behaviour: behaviour.__name__,
)
def test_an_app_without_end(settings: SandboxSettings, app: HostileApi, behaviour: Behaviour) -> None:
    """The phone shows the error screen, and before the app is done its connection is closed."""
    address = f"http://{hostile.HOST}:{app.port}"
    platform = create_sandbox(settings.model_copy(update={"shop_url": address, "page_seconds": 1}))
    phone = Phone(platform.test_client()).belongs_to("hanako")
    app.behaviour = behaviour
    assert phone.page(f"{address}/").status_code == 502
    wait_for(lambda: app.open == 0)
    assert not app.outlasted
