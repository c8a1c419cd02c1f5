"""Where the secrets of a configuration are."""
from __future__ import annotations

from mbusgw.config.loader import loads
from mbusgw.config.secrets import secret_values


def test_every_secret_is_found_wherever_it_stands() -> None:
    config = loads(
        "mqtt: {url: 'mqtt://joe:one@h'}\nhttp: {admin_token: two}\ningest: {keys: {gw1: three, gw2: four}}\n"
        f"lobaro: {{token: five}}\nkeys: [{{meter_id: 12345678, key: {'0a' * 16}}}]\n",
        {},
    )
    assert secret_values(config) == {"one", "two", "three", "four", "five", "0A" * 16}
