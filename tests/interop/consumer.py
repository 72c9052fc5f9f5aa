#!/usr/bin/env python3
"""A plain consumer: reads every event of a topic from the beginning and holds it against the contract of the wire.

Prints one JSON line for each event; what is wrong with it stands in `wrong`. The exit code is 0 if nothing is wrong and
the expected number came, else 1. An event with `ce_*` headers is one of Pabal's and must be as Pabal writes; any other
is an existing service's and need only be readable.

    tests/interop/target/venv/bin/python tests/interop/consumer.py --topic messagesenderlhg --expect 3
"""
import argparse
import json
import os
import pathlib
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

# What each rcs event always carries: L is an integer, everything else text; ! is never null.
LETTER = "messageId! userContact! mno sendTime chatbotId! description"
FIELDS = {
    "SendSuccess": "id:L " + LETTER,
    "ValidateSucceed": "id:L policyInfo " + LETTER,
    "ValidateFailed": "id:L policyInfo " + LETTER,
    "SendSucceed": "id:L result " + LETTER,
    "SendFailed": "id:L result " + LETTER,
    "Canceled": "id:L! messageId",
}
CONTENT_TYPE = '"application/json"'
STRING = "java.lang.String"
CLOUD_EVENT = ("ce_id", "ce_source", "ce_type", "ce_time", "ce_specversion")
# Spring makes headers of its own by these names; one from outside breaks its messages.
FORBIDDEN = ("id", "timestamp", "replyChannel", "errorChannel")


def known_bootstrap():
    """What the environment says (as for the Java services), else the broker of scripts/infra, else the usual port."""
    infra = pathlib.Path(__file__).parents[2] / ".infra/env"
    lines = infra.read_text().splitlines() if infra.exists() else []
    found = dict(line.split("=", 1) for line in lines).get("PABAL_KAFKA_BOOTSTRAP", "127.0.0.1:9092")
    return os.environ.get("BROKERS", found)


def is_number(value):
    return isinstance(value, int) and not isinstance(value, bool)


def wrong_with(key, headers, value, old_topic=False):
    """Everything that is wrong with an event, in words; `headers` are texts by name."""
    if not isinstance(value, dict):
        return ["the value is no JSON object"]
    ours = any(name.startswith("ce_") for name in headers)
    wrong = []
    event = value.get("eventType")
    if not isinstance(event, str) or not event:
        wrong.append("eventType is missing")
    timestamp = value.get("timestamp")
    as_text = isinstance(timestamp, str) and timestamp.isdigit()
    if not (is_number(timestamp) or (as_text and not ours)):
        wrong.append(f"timestamp is {timestamp!r}")
    for field in FIELDS.get(event, "").split():
        name, kind = field.rstrip("!").partition(":")[::2]
        given = value.get(name)
        if given is None:
            # Existing services leave out what they do not know; of ours only what is marked is sure to be there.
            if ours and (field.endswith("!") or name not in value):
                wrong.append(f"{name} is missing")
        elif isinstance(given, (dict, list)):
            wrong.append(f"{name} is not flat")
        elif ours and is_number(given) != kind.startswith("L"):
            wrong.append(f"{name} is {given!r}")
    if ours:
        wrong += wrong_headers(key, headers, event, old_topic)
    elif (headers.get("type") or event or "").strip('"') != event:
        wrong.append(f"header type is {headers['type']!r}")
    return wrong


def wrong_headers(key, headers, event, old_topic):
    """What is wrong with the key and the headers of one of Pabal's events."""
    wrong = [f"header {name} must not be" for name in FORBIDDEN if name in headers]
    wrong += [f"header {name} is missing" for name in CLOUD_EVENT if not headers.get(name)]
    if not key:
        wrong.append("the key is missing")
    if headers.get("contentType") != CONTENT_TYPE:
        wrong.append(f"header contentType is {headers.get('contentType')!r}")
    if headers.get("type") != (None if old_topic else event):
        wrong.append(f"header type is {headers.get('type')!r}")
    # Spring reads a header that is listed here as the class that stands beside it, and leaves any other as bytes.
    listed = {"contentType"} if old_topic else {"contentType", "type"} | ({"b3"} & headers.keys())
    try:
        types = json.loads(headers.get("spring_json_header_types", ""))
    except ValueError:
        types = None
    if types != dict.fromkeys(listed, STRING):
        wrong.append(f"header spring_json_header_types is {headers.get('spring_json_header_types')!r}")
    return wrong


def records(bootstrap, topic, until, wanted):
    """All records of a topic from the beginning: until its present end, or, while too few are `wanted()`, until the time."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "allow.auto.create.topics": False})
    partitions = {}
    while not partitions and time.monotonic() < until:
        try:
            partitions = consumer.list_topics(topic, timeout=5).topics[topic].partitions
        except KafkaException as problem:
            print(problem, file=sys.stderr)
        time.sleep(0 if partitions else 0.2)
    if not partitions:
        sys.exit(f"there is no topic {topic}")
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    read = dict.fromkeys(partitions, 0)
    while time.monotonic() < until:
        record = consumer.poll(0.2)
        if record is not None and not record.error():
            read[record.partition()] = record.offset() + 1
            yield record
        elif record is None and not wanted():
            # Nothing came for a while: is there really nothing more?
            ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=5) for p in partitions}
            if all(high <= max(low, read[p]) for p, (low, high) in ends.items()):
                break
    consumer.close()


def texts(record):
    return {name: (value or b"").decode("utf-8", "backslashreplace") for name, value in record.headers() or []}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--bootstrap", default=known_bootstrap(), help="default: BROKERS, or .infra/env")
    arguments.add_argument("--topic", default="messagesenderlhg")
    arguments.add_argument("--type", help="count and print this type only")
    arguments.add_argument("--expect", type=int, metavar="N", help="there must be exactly N")
    arguments.add_argument("--timeout", type=float, default=30, metavar="SECONDS")
    arguments.add_argument("--old-topic", action="store_true", help="one without header `type` (mailbox, ipTVShopProject)")
    given = arguments.parse_args()

    count = bad = 0
    until = time.monotonic() + given.timeout
    for record in records(given.bootstrap, given.topic, until, lambda: count < (given.expect or 0)):
        key, headers = record.key() and record.key().decode("utf-8", "backslashreplace"), texts(record)
        try:
            value = json.loads(record.value())
        except (TypeError, ValueError):
            value = None
        if given.type and not (isinstance(value, dict) and value.get("eventType") == given.type):
            continue
        line = {"partition": record.partition(), "offset": record.offset(), "key": key, "headers": headers, "value": value}
        wrong = wrong_with(key, headers, value, given.old_topic)
        if wrong:
            line["wrong"] = wrong
        print(json.dumps(line, ensure_ascii=False), flush=True)
        count, bad = count + 1, bad + bool(wrong)
    expected = given.expect is None or count == given.expect
    print(f"{count} events, {bad} wrong" + ("" if expected else f", {given.expect} expected"), file=sys.stderr)
    return 0 if expected and not bad else 1


if __name__ == "__main__":
    sys.exit(main())
