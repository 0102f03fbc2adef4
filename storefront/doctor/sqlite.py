"""SQLite as the shop needs it: a file on a disk that keeps it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, text

from storefront.config import PREFIX
from storefront.db import PRIVATE, db, file_of
from storefront.doctor.schema import migrated
from storefront.findings import Finding, fail, ok, warn

MIB = 1024 * 1024
SCARCE = 1024 * MIB  # free bytes beside SQLite: time to make room
FULL = 100 * MIB  # and here sales would soon be refused
ANOTHER = f"name the shop's own file in {PREFIX}DATABASE_URL, or restore a backup"
# SQLite's log needs memory shared between processes, which a file system over a network cannot give.
REMOTE = {"9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}
# Of one kernel and its own disk. What Docker Desktop and virtual machines share with their host is neither.
LOCAL = {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "xfs", "zfs"}


def database() -> Iterator[Finding]:
    file = file_of(db.engine)
    if file is None:
        yield fail("database", "SQLite in memory forgets every sale", f"name a file in {PREFIX}DATABASE_URL")
        return
    if not file.exists():
        yield fail("database", f"there is no {file}", "run `storefront upgrade`, or restore a backup")
        return
    if not file.is_file():
        yield fail("database", f"{file} is no file", ANOTHER)
        return
    with db.engine.connect() as connection:
        version = connection.scalar(text("SELECT sqlite_version()"))
        yield ok("database", f"SQLite {version}, {file}")
        yield from migrated(connection)
        yield _pragmas(connection)
    yield _privacy(file)
    folder, mounts = file.resolve().parent, Path("/proc/mounts")
    yield place(folder, file_system(folder, mounts.read_text("utf-8") if mounts.exists() else ""))
    yield disk(shutil.disk_usage(file.parent).free)


def file_system(folder: Path, mounts: str) -> str:
    """The type of the file system that holds a folder, by the text of /proc/mounts; empty if unknown."""
    lines = (line.split() for line in mounts.splitlines())
    found = {Path(point.replace(r"\040", " ")): kind for _, point, kind, *_ in lines}
    return next((found[place] for place in (folder, *folder.parents) if place in found), "")


def place(folder: Path, kind: str) -> Finding:
    """Whether SQLite's log is safe in a folder on a file system of this kind."""
    if kind in REMOTE:
        return fail(
            "folder",
            f"{folder} is on {kind}, over which SQLite can lose sales",
            "move the database to a local disk, or to PostgreSQL",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        return fail("folder", f"{folder} cannot be written", "let the shop's user write there")
    if kind and kind not in LOCAL:
        found = f"{folder} is on {kind}, of which it is not known that SQLite's log is safe there"
        return warn("folder", found, "use a disk of this machine (in Docker a named volume), or PostgreSQL")
    return ok("folder", f"{folder} is writable" + (f", on {kind}" if kind else ""))


def disk(free: int) -> Finding:
    """Whether so many free bytes are enough for SQLite to sell on."""
    found = f"{free // MIB:,} MiB free beside the database"
    if free < FULL:
        return fail("disk", found, "make room now: when it is full, every sale is refused")
    if free < SCARCE:
        return warn("disk", found, "make room before it is full")
    return ok("disk", found)


def _pragmas(connection: Connection) -> Finding:
    mode, durability, keys = (
        connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")
    )
    found = f"journal_mode {mode}, synchronous {durability}, foreign_keys {keys}"
    # 2 is FULL, 3 is EXTRA (source: SQLite, PRAGMA synchronous)
    if mode == "wal" and durability in (2, 3) and keys == 1:
        return ok("durability", found)
    advice = (
        "they must be wal, 2 and 1, and the shop asks for that: put the file on a local disk, "
        f"and take options out of {PREFIX}DATABASE_URL"
    )
    return fail("durability", found, advice)


def _privacy(file: Path) -> Finding:
    mode = file.stat().st_mode & 0o777
    if mode & ~PRIVATE:
        return warn(
            "file", f"others may open {file} ({mode:o})", f"chmod {PRIVATE:o} it, and what lies beside it"
        )
    return ok("file", "its owner's alone")
