"""The yardstick: a Flask application whose views make one durable insert, and nothing else.

It knows nothing of the shop, so that it does not change with it.
"""

import hmac
import json
import os
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

from flask import Flask, abort, request
from oauthlib.oauth1 import RequestValidator, SignatureOnlyEndpoint
from sqlalchemy import Column, DateTime, Engine, Integer, MetaData, String, Table, create_engine, event

metadata = MetaData()
MARK = Table(
    "mark",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("code", String(40), nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
)
PLAIN = {"Content-Type": "text/plain"}


class Validator(RequestValidator):
    """One known consumer, over plain http, with key and nonce of any length, as the platform signs."""

    def __init__(self, key: str, secret: str) -> None:
        super().__init__()
        self.key = key
        self.secret = secret

    @property
    def enforce_ssl(self) -> bool:
        return False

    @property
    def dummy_client(self) -> str:
        return "nobody"

    def check_client_key(self, client_key: str) -> bool:
        return bool(client_key)

    def check_nonce(self, nonce: str) -> bool:
        return bool(nonce)

    def validate_timestamp_and_nonce(self, *args: Any, **kwargs: Any) -> bool:
        return True  # the endpoint has checked the timestamp; the shop keeps no nonces of callbacks either

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        return client_key == self.key

    def get_client_secret(self, client_key: str, request: Any) -> str:
        return self.secret


def create_reference() -> Flask:
    """The yardstick, configured by BENCH_DATABASE_URL, BENCH_KEY and BENCH_SECRET."""
    app = Flask("reference")
    engine = durable(os.environ["BENCH_DATABASE_URL"])
    endpoint = SignatureOnlyEndpoint(Validator(os.environ["BENCH_KEY"], os.environ["BENCH_SECRET"]))

    @app.get("/healthz")
    def healthz() -> tuple[str, dict[str, str]]:
        return "ok\n", PLAIN

    @app.get("/insert")
    def insert() -> tuple[str, dict[str, str]]:
        keep(engine, request.args["point_code"])
        return "OK", PLAIN

    @app.get("/signed-insert")
    def signed_insert() -> tuple[str, dict[str, str]]:
        valid, _ = endpoint.validate_request(request.url, request.method, None, dict(request.headers))
        if not valid:
            abort(401)
        keep(engine, request.args["point_code"])
        return "OK", PLAIN

    @app.post("/hook")
    def hook() -> tuple[str, dict[str, str]]:
        body, given = request.get_data(), request.headers.get("X-Appstore-Signature", "")
        right = b64encode(hmac.digest(os.environ["BENCH_SECRET"].encode(), body, "sha256"))
        if not hmac.compare_digest(right, given.encode()):
            abort(401)
        keep(engine, json.loads(body)["recurring_application_charge_id"])
        return "OK", PLAIN

    return app


def keep(engine: Engine, code: str) -> None:
    """One row, durable on return."""
    with engine.begin() as connection:
        connection.execute(MARK.insert(), {"code": code, "made_at": datetime.now(UTC)})


def durable(url: str) -> Engine:
    """An engine that commits as the shop's does: WAL and FULL on SQLite, as delivered on PostgreSQL."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def configure(connection: Any, record: Any) -> None:
            connection.isolation_level = None
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA busy_timeout=5000")

        @event.listens_for(engine, "begin")
        def begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
