# SPDX-License-Identifier: Apache-2.0
"""The reference's examples: keys and values as published, long texts cut short."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

QUEUE = "https://sqs.eu-west-1.amazonaws.com/292435300779/..."
RECORDING = "0de2bc60-14da-11e9-a3d8-2f24dd9af78e"
REST_RECORDING = "015b5b80-c275-11ed-a32c-fddf7fd4273c"
TOKEN = "fdkmlksfm38f8nfQekefmffmf..."
ARN = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

_SEGMENT = {"startTime": 1728890680444, "endTime": 1728890687255}
_BUCKET = {"destinationBucket": "recordingstorage.company.com", "destinationRegion": "us-west-2"}

STORE: dict[str, Any] = {
    "method": "STORERECORDING",
    **_BUCKET,
    "encryptionKey": "arnstring",
    "fileName": "myrecording.mp3",
    "modificationParams": {
        "absoluteTimes": True,
        "mask": {
            "caller": [
                {"from": 1561988732565, "to": 1561988733565},
                {"from": 1561988735565, "to": 1561988735965},
                {"from": 1561988737565, "to": 1561988738565},
            ],
            "callee": [{"from": 1561988733565, "to": 1561988734565}],
        },
        "trim": {"from": 1561988732565, "to": 1561988738565},
    },
    "recordingId": RECORDING,
    "replyId": TOKEN,
}
MERGE: dict[str, Any] = {
    "method": "MERGERECORDINGS",
    **_BUCKET,
    "toMerge": [
        {"recordingId": id, "startTime": start, "conferenceSegments": [_SEGMENT]}
        for id, start in (
            ("5e32bf50-89fd-11ef-966f-03e88116d7e5", 1728890677283),
            ("601fe950-89fd-11ef-966f-03e88116d7e5", 1728890680444),
            ("642ebad0-89fd-11ef-966f-03e88116d7e5", 1728890687255),
        )
    ],
    "fileName": "mergedrecording.mp3",
    "encryptionKey": "arn:aws:kms:region:account-id:key/key-id",
    "replyId": TOKEN,
}
COMMANDS: list[dict[str, Any]] = [
    STORE,
    MERGE,
    *(
        {"method": method, "recordingId": RECORDING, "replyId": TOKEN}
        for method in ("DELETERECORDING", "STOPRECORDING", "CANCELRECORDING")
    ),
]

_FORM = {"replyId": "string", "recordingId": "string"}
REST_COMMANDS: dict[str, dict[str, Any]] = {
    "stoprecording": {"method": "STOPRECORDING", **_FORM},
    "storerecording": {
        "destinationBucket": "string",
        "fileName": "string",
        "method": "STORERECORDING",
        "encryptionKey": "string",
        **_FORM,
        "modificationParams": {},
    },
    "deleterecording": _FORM,
    "cancelrecording": {"method": "CANCELRECORDING", **_FORM},
}

_SENT = {"commandQueue": QUEUE, "commandRegion": "eu-west-1"}
_OF = {"recordingId": RECORDING, "replyId": TOKEN}
_DOMAIN = {"domain": "sip.example.com"}
_REASON = {"reason": "Detailed error message explaining the failure"}
_STORED_IN = {"destinationBucket": "recordingbucket.company.com"}
_PARTY = {"calledParty": "user123"}

QUEUE_META = (
    '"recordingsPartsInfo": { "callerStreams": [{"start": 1557932777534, "ssrc": 2408484501}], '
    '"calleeStreams": [{"start": 1557932777523, "ssrc": 197496009}] }'
)
REST_META = (
    "{\nrecordingsPartsInfo: {\ncallerStreams: [\n{\nstart: 1680093356094,\nssrc: 2773030717\n}\n"
    "],\ncalleeStreams: [\n{\nstart: 1680093356094,\nssrc: 3758356851\n}\n]\n}\n}"
)

READY: dict[str, Any] = {  # with the comma that the sample lacks
    "event": "RECORDINGREADY",
    **_PARTY,
    **_SENT,
    **_DOMAIN,
    "meta": QUEUE_META,
    "recordingId": RECORDING,
    "conferenceSegments": [_SEGMENT],
    "relatedRecordings": [
        {
            "recordingId": "cbefcbd0-8b1c-11ef-982b-1b7455556a32",
            "startTime": 1729014126886,
            "state": "stopped",
            "recordingRole": "sibling",
            "conferenceSegments": [_SEGMENT],
        },
        {
            "recordingId": "c9fa3d60-8b1c-11ef-982b-1b7455556a32",
            "startTime": 1729014123722,
            "state": "stopped",
            "recordingRole": "parent",
            "conferenceSegments": [_SEGMENT],
        },
    ],
    "replyId": TOKEN,
    "warning": "rtpTimeout",
}
_XML = (
    '<?xml version="1.0" encoding="UTF-8"?><recording xmlns="urn:ietf:params:xml:ns:recording:1">'
)
EVENTS: list[dict[str, Any]] = [
    {"event": "RECORDINGSTARTED", **_PARTY, **_SENT, **_DOMAIN, "metaData": _XML, **_OF},
    {"event": "RECORDINGCANCELLED", **_PARTY, **_SENT, **_DOMAIN, "reason": "duplicate", **_OF},
    READY,
    {"event": "RECORDINGFAILED", **_PARTY, **_SENT, **_DOMAIN, **_REASON, **_OF},
    {"event": "RECORDINGSTORED", **_SENT, **_STORED_IN, "fileName": "0de2bc60.mp3", **_OF},
    {"event": "STORERECORDINGFAILED", **_SENT, **_DOMAIN, **_REASON, **_OF},
    {
        "event": "RECORDINGSMERGED",
        **_SENT,
        **_STORED_IN,
        **_DOMAIN,
        "fileName": "mergedrecording.mp3",
        "replyId": TOKEN,
    },
    {"event": "MERGERECORDINGSFAILED", **_SENT, **_DOMAIN, **_REASON, "replyId": TOKEN},
    {"event": "RECORDINGDELETED", **_SENT, **_OF},
    {"event": "DELETERECORDINGFAILED", **_SENT, **_DOMAIN, **_REASON, **_OF},
]

_CALLBACK = {
    "recordingId": REST_RECORDING,
    "domain": "sip.prod-eu-north-1.iotcomms.io",
    "replyId": TOKEN,
}
CALLBACKS: dict[str, dict[str, Any]] = {
    "recordingFailed": {"event": "RECORDINGFAILED", **_CALLBACK, "commandRegion": "eu-west-1"},
    "recordingStarted": {
        "event": "RECORDINGSTARTED",
        **_CALLBACK,
        "metaData": _XML,
        "commandRegion": "eu-west-1",
    },
    "recordingCancelled": {
        "event": "RECORDINGCANCELLED",
        **_CALLBACK,
        "metaData": _XML,
        "commandRegion": "eu-west-1",
    },
    "recordingReady": {**_CALLBACK, "meta": REST_META, "sipRecCallId": 7260041678961334000},
}

_MISMATCH = {"error": "recordingId does not match eventId"}
_ALARM_OF = {"recordingId": "aa2763a0-f00d-11e9-b265-41d830bfc3ea", **_DOMAIN}
ALARMS: list[dict[str, Any]] = [
    *(
        {"type": type, **_MISMATCH}
        for type in (
            "storeRecordingError",
            "deleteRecordingError",
            "stopRecordingError",
            "cancelRecordingError",
            "eventNotificationError",
        )
    ),
    {
        "event": "recordingFailed",
        "type": "recordingFailed",
        **_ALARM_OF,
        "error": 'Recording completed with error": { "type":"stoppedWithoutMedia"}',
    },
    {"event": "tempStorageError", "type": "tempStorageError", **_ALARM_OF},
    {
        "event": "tempRecordingDeleted",
        "type": "tempRecordingDeleted",
        **_ALARM_OF,
        "service": "siprec",
        "error": "Recording id 9b1ace70-d0a4-11e9-841f-d3ec0b98f0e9 expired.",
    },
    {
        "event": "apiRequestError",
        "type": "apiRequestError",
        "domain": "company.com",
        "recordingId": RECORDING,
        "error": "Error calling newCall API",
        "method": "POST",
        "requestUri": "https://example.com/newCall",
        "statusCode": 500,
        "statusMessage": "Internal Server Error",
    },
]


def json_like(*keys: str) -> st.SearchStrategy[Any]:
    """Any JSON value; its objects often have these keys."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.integers(10**11, 10**14)
        | st.floats()
        | st.text(st.characters(exclude_categories=()), max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(keys) | st.text(max_size=3), inner, max_size=6)
        ),
        max_leaves=15,
    )


def altered(examples: list[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """An example of which some values are anything."""
    return st.sampled_from(examples).flatmap(
        lambda example: st.dictionaries(
            st.sampled_from(sorted(example)), json_like(*example), max_size=3
        ).map(lambda changed: {**example, **changed})
    )
