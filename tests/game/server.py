"""A game's server as the storm has it: `python -m tests.game.server FILE PORT SEED [careless]`.

What it has seen and used is in its file, so that it goes on after a kill. It has nothing but Python's own
library, and so begins at once.
"""

import json
import random
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
TOKEN = "the token of the game, of 32 characters"
CARELESS = "careless"
USERS = 3  # at once
MOST = 40  # changes in one page
PAUSE, GIVES_UP = 0.05, 30.0
USED, KEY_REUSED = 200, 422
LATER = (429, 503)
AGAIN, OTHER = 0.2, 0.05  # how often a key is sent once more, and with something else
COUNT = "INSERT INTO heard VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1"
BETWEEN = 0.5  # seconds between the two writes of a careless game, so that a kill comes there

TABLES = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
CREATE TABLE wish (key TEXT PRIMARY KEY, who TEXT, item TEXT, quantity INTEGER, status INTEGER, answer TEXT);
CREATE TABLE seen (cursor TEXT, cause TEXT, who TEXT, item TEXT, quantity INTEGER, kind TEXT);
CREATE TABLE place (cursor TEXT); INSERT INTO place VALUES (NULL);
CREATE TABLE heard (what TEXT, status INTEGER, times INTEGER, PRIMARY KEY (what, status));
CREATE TABLE fault (words TEXT);
"""


class Game:
    """A game's server, as far as its file goes."""

    def __init__(self, file: Path, port: int, seed: int, is_careless: bool) -> None:
        self.file, self.port, self.is_careless = file, port, is_careless
        self.random = random.Random(seed)  # noqa: S311  # nobody gains by guessing
        self.kept = sqlite3.connect(file, check_same_thread=False, timeout=GIVES_UP)
        self.writing = threading.Lock()

    def play(self) -> None:
        """Use what is wished for and follow the changes, until all is used and the end is told."""
        open_wishes = self.kept.execute("SELECT key FROM wish WHERE status IS NULL ORDER BY rowid").fetchall()
        keys = iter([key for (key,) in open_wishes])
        with ThreadPoolExecutor(USERS + 1) as threads:
            working = [threads.submit(self._use_all, keys) for _ in range(USERS)]
            working.append(threads.submit(self._follow))
            for one in working:
                one.result()

    def _use_all(self, keys: Iterator[str]) -> None:
        with closing(Line(self.port)) as line:
            while key := self._next(keys):
                self._use(line, key)

    def _next(self, keys: Iterator[str]) -> str | None:
        with self.writing:
            return next(keys, None)

    def _use(self, line: "Line", key: str) -> None:
        """Ask until there is an answer; then, now and then, whether it is still the same."""
        with self.writing:
            who, item, quantity = self.kept.execute(
                "SELECT who, item, quantity FROM wish WHERE key = ?", (key,)
            ).fetchone()
        wish = {"channel": "mixi", "external_id": who, "item": item, "quantity": quantity}
        status, answer = self._ask(line, "use", "POST", "/game/uses", wish, key)
        self._keep("UPDATE wish SET status = ?, answer = ? WHERE key = ?", status, answer, key)
        if status == USED and self.random.random() < AGAIN:
            again = self._ask(line, "use again", "POST", "/game/uses", wish, key)
            if again != (USED, answer):
                self._keep("INSERT INTO fault VALUES (?)", f"{key}: {answer!r}, then {again!r}")
        if status == USED and self.random.random() < OTHER:
            other = {**wish, "quantity": quantity + 1}
            status, _ = self._ask(line, "other use", "POST", "/game/uses", other, key)
            if status != KEY_REUSED:
                self._keep("INSERT INTO fault VALUES (?)", f"{key}: another use, {status}")

    def _follow(self) -> None:
        """Read on and on; what is read and where to read on are kept in one transaction."""
        end, is_over = self.file.with_suffix(".end"), False
        with closing(Line(self.port)) as line:
            while not is_over:
                is_told = end.exists()
                (after,) = self.kept.execute("SELECT cursor FROM place").fetchone()
                path = f"/game/changes?limit={self.random.randint(1, MOST)}" + (
                    f"&after={after}" if after else ""
                )
                status, answer = self._ask(line, "poll", "GET", path)
                page = json.loads(answer)
                if status != USED:
                    self._keep("INSERT INTO fault VALUES (?)", f"poll: {status} {answer}")
                    return
                self._see(page)
                is_over = is_told and not page["changes"]
                time.sleep(0 if page["more"] else PAUSE / 5)

    def _see(self, page: Mapping[str, Any]) -> None:
        names = ("cursor", "cause", "external_id", "item", "quantity", "kind")
        rows = [[change[name] for name in names] for change in page["changes"]]
        with self.writing:
            self.kept.execute("UPDATE place SET cursor = ?", (page["cursor"],))
            if self.is_careless and rows:
                self.kept.commit()
                time.sleep(BETWEEN)
            self.kept.executemany("INSERT INTO seen VALUES (?, ?, ?, ?, ?, ?)", rows)
            self.kept.commit()

    def _ask(
        self,
        line: "Line",
        what: str,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        key: str = "",
    ) -> tuple[int, str]:
        """The status and the words of an answer; whatever is none is asked for again."""
        while True:
            status, words = line.ask(method, path, body, key)
            self._keep(COUNT, what, status)
            if status and status not in LATER:
                return status, words
            time.sleep(PAUSE)

    def _keep(self, statement: str, *values: object) -> None:
        with self.writing:
            self.kept.execute(statement, values)
            self.kept.commit()


class Line:
    """A connection to the shop, made anew whenever it breaks."""

    def __init__(self, port: int) -> None:
        self.http = HTTPConnection(HOST, port, timeout=GIVES_UP)

    def ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None, key: str = ""
    ) -> tuple[int, str]:
        """Status and words, or 0 and none where nothing was answered."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": key}
        try:
            self.http.request(method, path, json.dumps(body) if body else None, headers)
            answer = self.http.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, HTTPException):
            self.http.close()
            return 0, ""

    def close(self) -> None:
        self.http.close()


if __name__ == "__main__":
    file, port, seed, *more = sys.argv[1:]
    Game(Path(file), int(port), int(seed), more == [CARELESS]).play()
