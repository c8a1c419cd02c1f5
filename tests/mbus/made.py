"""Frames made by hand for the tests, and the tools to make more."""
from __future__ import annotations

from mbusgw.mbus.frames import LongFrame, encode
from mbusgw.mbus.records import decode_records
from mbusgw.model.record import Record

#: Long header: id 12345678, KAM, version 8, heat, access number 42, status 0, configuration 0.
HEADER = bytes.fromhex("78563412" "2d2c" "08" "04" "2a" "00" "0000")
#: A volume of 123.456 m³: what follows something doubtful, to see whether the decoder is still in step.
VOLUME = bytes.fromhex("0413" "40e20100")

#: The example of the M-Bus documentation: volume, maximum flow in storage 5, energy of tariff 2 and subunit 1.
DOCUMENTED = bytes.fromhex("681f1f680802727856341224400107550000000313153100da023b13018b60043718021816")


def frame(records: bytes, *, ci: int = 0x72, header: bytes = HEADER, address: int = 1) -> bytes:
    """A meter's answer."""
    return encode(LongFrame(0x08, address, ci, header + records))


def only(records_hex: str) -> Record:
    """The one record of these bytes, after seeing that what follows it is read right."""
    block = decode_records(bytes.fromhex(records_hex) + VOLUME)
    assert block.broken is None and len(block.records) == 2
    assert str(block.records[1].value) == "123.456"
    return block.records[0]


#: Frames of many kinds, for tests that damage frames.
OWN_FRAMES = [
    DOCUMENTED,
    frame(VOLUME + bytes.fromhex("0c78 12345678 046d 3b17bf1c 426c bf1c 2f 0f 010203")),
    frame(bytes.fromhex("0d78 03434241 0d13 c478563412 0d13 e440e20100 055b 0000a841 1f aa55")),
    frame(bytes.fromhex("02fc03485225 74 2215 02fd1b 0500 04fb00 0a000000 8210abff01 0a00")),
    frame(VOLUME, ci=0x78, header=b""),
    frame(VOLUME, ci=0x7A, header=bytes.fromhex("2a000000")),
    frame(b"", ci=0x73, header=bytes.fromhex("78563412 0a 00 e97e 01000000 35010000")),
    frame(b"", ci=0x70, header=b"\x08"),
]
