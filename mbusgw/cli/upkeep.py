"""Who answers for the database: the gateway that runs, or, when none has it, this process itself."""
from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mbusgw.app.base import open_vault
from mbusgw.cli.options import add_config_option
from mbusgw.cli.remote import Remote
from mbusgw.config.loader import load, with_state_dir
from mbusgw.config.models import Config
from mbusgw.model.errors import StoreBusy, StoreError
from mbusgw.runtime.clock import SystemClock
from mbusgw.store.keyring import Keyring
from mbusgw.store.writer import Store

_STOP_S = 30.0


def add_database_options(parser: argparse.ArgumentParser) -> None:
    """``-c FILE`` and ``--state-dir DIR``, as ``mbusgw run`` has them."""
    add_config_option(parser)
    parser.add_argument(
        "--state-dir", metavar="DIR", type=Path, help="where the gateway keeps its database, if it was told so"
    )


def database_config(args: argparse.Namespace) -> Config:
    """The configuration that names the database. Raises ``ConfigError``."""
    config = load(args.config, os.environ)
    return with_state_dir(config, args.state_dir) if args.state_dir else config


@contextmanager
def database(config: Config, *, create: bool = True) -> Iterator[Remote | Store]:
    """The running gateway, or the store itself (started) where nobody else has it.

    The database's lock says which. Raises ``StoreError`` when it is locked and nobody answers, and, without
    ``create``, when there is none.
    """
    exists = os.path.exists(config.storage.path)  # False also for one that this user may not see
    remote = None if exists else Remote.find(config)
    store = None
    if remote is None:
        if not exists and not create:
            raise _absent(config)
        try:
            store = _opened(config.storage.path)
        except StoreError as error:
            remote = Remote.find(config)
            if remote is None:
                raise _unreachable(error, config) from None
    if remote is not None or store is None:
        assert remote is not None
        yield remote
        return
    store.start()
    try:
        yield store
    finally:
        store.stop()
        store.join(_STOP_S)
        store.close()


@contextmanager
def stopped_database(config: Config) -> Iterator[Store]:
    """The open store of a gateway that does not run; nothing is started.

    Raises ``StoreError`` where there is none, and ``StoreBusy`` where the gateway runs.
    """
    path = config.storage.path
    if not path.exists():
        raise StoreError(f"there is no database {path}", hint="--state-dir says where, if the gateway was told so")
    try:
        store = _opened(path)
    except StoreBusy as error:
        raise StoreBusy(f"{error}; this needs a gateway that is stopped", hint="systemctl stop mbusgw") from None
    try:
        yield store
    finally:
        store.close()


def keyring_of(store: Store, config: Config) -> Keyring:
    """The keys in ``store``, with the master key that this process finds."""
    keyring = Keyring(store, open_vault(config, os.environ), clock=SystemClock())
    keyring.look()
    return keyring


def _opened(path: Path) -> Store:
    """An open store. Of files made by root, the folder's owner (the service) becomes the owner."""
    files = [path, path.with_name(f"{path.name}.lock")]
    missing = [file for file in files if not file.exists()]
    store = Store(path, clock=SystemClock())
    store.open()
    if os.geteuid() == 0:
        owner = path.parent.stat()
        for file in missing:
            os.chown(file, owner.st_uid, owner.st_gid)
    return store


def _absent(config: Config) -> StoreError:
    return StoreError(
        f"no gateway answers on {config.http.listen} (http.listen), and there is no database {config.storage.path}",
        hint="start the gateway, or name its configuration with -c (and --state-dir, if it was told so)",
    )


def _unreachable(error: StoreError, config: Config) -> StoreError:
    if isinstance(error.__cause__, PermissionError):
        return StoreError(
            f"no gateway answers on {config.http.listen} (http.listen), and {error}",
            hint="start the gateway, or try with sudo: the database belongs to the service",
        )
    if not isinstance(error, StoreBusy):
        return error
    return StoreBusy(
        f"{error}, and does not answer on {config.http.listen} (http.listen)",
        hint="use the configuration it was started with, or stop it",
    )
