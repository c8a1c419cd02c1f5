"""Environment variables that override the file.

A variable that is set but empty counts as not set, so that ``MQTT_URL=`` in
``/etc/default/mbusgw`` does no harm.
"""
from __future__ import annotations

from collections.abc import Mapping

from mbusgw.config.lines import KeyPath, Tree
from mbusgw.model.errors import Problem

SOURCE = "environment"

#: Variables whose text goes to one key as it is; the models judge it there.
PLAIN: dict[str, tuple[str, str]] = {
    "MQTT_URL": ("mqtt", "url"),
    "MQTT_USERNAME": ("mqtt", "username"),
    "MQTT_PASSWORD": ("mqtt", "password"),
    "MQTT_QOS": ("mqtt", "qos"),
    "MQTT_RETAIN": ("mqtt", "retain"),
    "MQTT_TOPIC_TEMPLATE": ("mqtt", "telegram_topic"),
    "LOBARO_TOKEN": ("lobaro", "token"),
    "LOBARO_TIMEOUT_S": ("lobaro", "timeout"),
    "N_WORKERS": ("parser", "n_workers"),
    "ENABLE_DEDUP": ("ingest", "dedup"),
    "DEDUP_WINDOW_S": ("ingest", "dedup_window"),
}
#: Variables with a form of their own.
SPECIAL = ("INGEST_API_KEYS", "OUTPUT_SECRETS", "DATABASE_URL", "APP_ENV")

_SQLITE = "sqlite:///"
_PRODUCTION = ("production", "prod", "staging", "test", "testing")
_DEVELOPMENT = ("development", "dev")


class Overlay:
    """Puts what the environment says over what the file says. **own thread**

    ``tree`` is changed in place; ``variables`` then says which key came from which
    variable, and ``problems`` what could not be understood.
    """

    def __init__(self, tree: dict[str, Tree], environ: Mapping[str, str]) -> None:
        self._tree = tree
        self._environ = {name: value.strip() for name, value in environ.items() if value.strip()}
        self.variables: dict[KeyPath, str] = {}
        self.problems: list[Problem] = []

    def apply(self) -> None:
        """Does it, for every variable known."""
        self._make_way_for_mqtt()
        for name, path in PLAIN.items():
            if name in self._environ:
                self._put(name, path, self._environ[name])
        self._ingest_keys()
        self._output_secrets()
        self._database()
        self._app_env()

    def _put(self, name: str, path: tuple[str, str], value: Tree) -> None:
        section = self._tree.get(path[0])
        if section is None:
            section = self._tree[path[0]] = {}
        if isinstance(section, dict):  # else the file is wrong there, which is said anyway
            section[path[1]] = value
            self.variables[path] = name

    def _make_way_for_mqtt(self) -> None:
        # Credentials from the environment replace those of the file in whatever form they are there.
        mqtt = self._tree.get("mqtt")
        if not isinstance(mqtt, dict):
            return
        if "@" in self._environ.get("MQTT_URL", ""):
            for key in ("username", "password", "password_file"):
                mqtt.pop(key, None)
        if "MQTT_PASSWORD" in self._environ:
            mqtt.pop("password_file", None)

    def _ingest_keys(self) -> None:
        keys = self._pairs("INGEST_API_KEYS", "GATEWAY:KEY", "gw1:key;gw2:key")
        if keys:
            self._put("INGEST_API_KEYS", ("ingest", "keys"), {**keys})

    def _output_secrets(self) -> None:
        """The password of an output that names a user, the token of any other."""
        written = self._tree.get("outputs")
        outputs = {
            str(one.get("name") or one.get("type")): (number, one)
            for number, one in enumerate(written if isinstance(written, list) else [])
            if isinstance(one, dict)
        }
        for name, secret in self._pairs("OUTPUT_SECRETS", "OUTPUT:SECRET", "influx:token;webhook:token").items():
            if name not in outputs:
                known = f"known: {', '.join(outputs)}" if outputs else "there are no outputs at all"
                self._refuse("OUTPUT_SECRETS", f"no output is named `{name}` ({known})")
                continue
            number, output = outputs[name]
            key = "password" if output.get("username") else "token"
            output[key] = secret
            output.pop(f"{key}_file", None)
            self.variables[("outputs", number, key)] = "OUTPUT_SECRETS"

    def _pairs(self, name: str, form: str, example: str) -> dict[str, str]:
        """``NAME:SECRET;NAME:SECRET``; nothing if a part is wrong, which is said."""
        pairs: dict[str, str] = {}
        for part in self._environ.get(name, "").split(";"):
            if not part.strip():
                continue
            # At the first colon: secrets may hold others. Who has one in its name belongs into the file.
            whose, _, secret = part.strip().partition(":")
            if not whose or not secret:
                self._refuse(name, f"part {len(pairs) + 1} is not {form}", example)
                return {}
            if whose.strip() in pairs:
                self._refuse(name, f"names {whose.strip()} twice", "leave one out")
                return {}
            pairs[whose.strip()] = secret.strip()
        return pairs

    def _database(self) -> None:
        url = self._environ.get("DATABASE_URL", "")
        if not url:
            return
        if not url.startswith(_SQLITE) or url == _SQLITE:
            self._refuse("DATABASE_URL", "must be sqlite:///PATH", "sqlite:////var/lib/mbusgw/mbusgw.db")
            return
        self._put("DATABASE_URL", ("storage", "path"), url[len(_SQLITE):])

    def _app_env(self) -> None:
        # "development" only turns on the traffic in the logs, and only where the file names no level.
        kind = self._environ.get("APP_ENV", "").lower()
        if not kind or kind in _PRODUCTION:
            return
        if kind not in _DEVELOPMENT:
            self._refuse("APP_ENV", "must be production or development")
            return
        logging = self._tree.get("logging")
        if not isinstance(logging, dict) or logging.get("level") is None:
            self._put("APP_ENV", ("logging", "level"), "DEBUG")

    def _refuse(self, name: str, message: str, example: str = "") -> None:
        self.problems.append(Problem(SOURCE, None, name, message, f"for example {example}" if example else ""))
