"""What a person can say about values in quarantine."""
from __future__ import annotations

from concurrent.futures import Future

from mbusgw.commands.params import Params
from mbusgw.model.command import Document, Tell
from mbusgw.model.document import plain_value
from mbusgw.model.errors import RequestError
from mbusgw.mqtt.states import StateRecorder
from mbusgw.registry.registry import Registry
from mbusgw.runtime.chain import then


class QuarantineOperations:
    """Operations for the table of commands. **any thread**"""

    def __init__(self, registry: Registry, recorder: StateRecorder) -> None:
        self._registry = registry
        self._recorder = recorder

    def release(self, given: Document, _tell: Tell) -> Future[Document]:
        """``{device, field, accept: true|false}``: what the meter says is right (its values are shown from now on), or
        wrong (they stay in quarantine however often they are repeated). Without ``field`` all of the device.

        Raises ``RequestError`` 404 for an unknown device, 409 where nothing is in quarantine.
        """
        params = Params(given)
        device_id, name = params.text("device"), params.text("field", None)
        accept = params.flag("accept", True)
        params.done()
        state = self._registry.get(device_id)
        if state is None:
            raise RequestError(404, "unknown_device", f"there is no device {device_id[:64]!r}", field="device")
        change = self._registry.release(device_id, [name] if name else list(state.quarantine), accept=accept)
        if change is None:
            there = ", ".join(sorted(state.quarantine)) or "no value"
            raise RequestError(409, "not_quarantined", f"of {device_id} {there} is in quarantine", field="field")
        shown = change.after.fields
        released = change.before.quarantine.keys() - change.after.quarantine.keys()
        answer = {
            "device": device_id,
            "released": {one: plain_value(shown[one].value) for one in sorted(released)},
            "quarantine": sorted(change.after.quarantine),
        }
        return then(self._recorder.publish_change(change), lambda _stored: answer)
