"""The answer of /api/mbus as its maker publishes it, for the OMS gas meter."""
from __future__ import annotations

from typing import Any

from mbusgw.runtime import exactjson

_TEXT = """
{"Raw":"0x2e4493157856341233037a2a0020055923c95aaa26d1b2e7493b013ec4a6f6d3529b520edff0ea6defc99d6d69ebf3",
 "FrameFormat":"A","Length":46,"CField":"0x44","CFieldString":"0x44 (SND_NR)",
 "MField":"0x9315","MFieldCodeString":"ELS","Id":305419896,"IdString":"12345678","Version":51,"Device":"0x03",
 "DeviceString":"Gas","CiField":"0x7a","HeaderKnown":true,"PayloadKnown":true,"CrcValid":true,"HasCrc":true,
 "FormatSignature":61330,"FormatFrame":"0x0c14046d02fd17","ParserVersion":"1.11.3",
 "Header":{"Serial":0,"IdString":"","ManufacturerCode":0,"MFieldCodeString":"","Version":0,
   "DeviceType":"0x00","EncryptionMode":5,"EncryptionModeString":"AES with CBC","EncryptedBlocks":2,
   "AccessNumber":42,"StatusByte":0,"ConfigField":[32,5]},
 "Ell":null,"Afl":null,
 "Body":{"Raw":"0x2f2f0c1427048502046d32371f1502fd1700002f2f2f2f2f2f2f2f2f2f2f2f2f",
   "DataRecords":[
    {"DifDataLength":4,"DifFunctionString":"Current Value","DifSubunit":0,
     "VifUnit":"m^3","VifQuantity":"Volume","VifExponent":0.01,"VifEDescription":"",
     "Value":2850427,"ValueScaled":28504.27,"ValueString":"28504.27","Tariff":0,"StorageNo":0,
     "DifVif":"0x0c14","Data":"0x27048502"},
    {"DifDataLength":4,"DifFunctionString":"Current Value","DifSubunit":0,
     "VifUnit":"","VifQuantity":"Time & Date","VifExponent":1,"VifEDescription":"",
     "Value":354367282,"ValueScaled":354367282,"ValueString":"2008-05-31T23:50:00Z","Tariff":0,"StorageNo":0,
     "DifVif":"0x046d","Data":"0x32371f15"},
    {"DifDataLength":2,"DifFunctionString":"Current Value","DifSubunit":0,
     "VifUnit":"","VifQuantity":"Error flags","VifExponent":1,"VifEDescription":"",
     "Value":0,"ValueScaled":0,"ValueString":"0","Tariff":0,"StorageNo":0,"DifVif":"0x02fd17","Data":"0x0000"}],
   "PayloadKnown":true,"IsEncrypted":false,"DecryptionFailed":false,"BlockCiField":0},
 "KeyIdentifier":"6CDF4E13B88E3B890A803C4EECF8B89D60916C2E4E3C5CB32818F06A56BB60B5"}
"""


def published() -> dict[str, Any]:
    """A fresh copy."""
    document: dict[str, Any] = exactjson.loads(_TEXT)
    return document
