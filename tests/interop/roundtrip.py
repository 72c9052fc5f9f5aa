#!/usr/bin/env python3
"""Hands each Java service events in the form in which Pabal writes them, and sees that it answers and what it answers.

    tests/interop/target/venv/bin/python tests/interop/roundtrip.py [--save] [boot23|boot23-millis|boot21 …]

The answers must look like those in tests/interop/captured; with --save they, byte for byte, take their place.
"""
import argparse
import base64
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request
import uuid

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

import consumer

HERE = pathlib.Path(__file__).parent
# The service as it is built, and what else is set.
SERVICES = {"boot23": ("boot23", {}), "boot23-millis": ("boot23", {"TIMESTAMP": "millis"}), "boot21": ("boot21", {})}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def as_pabal_writes(event, **fields):
    """Key, value and headers of one of Pabal's events on a new topic."""
    types = dict.fromkeys(("contentType", "type", "b3"), consumer.STRING)
    headers = {
        "type": event,
        "contentType": consumer.CONTENT_TYPE,
        "spring_json_header_types": json.dumps(types, separators=(",", ":")),
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
        "b3": f"{TRACE}-00f067aa0ba902b7-1",
        "ce_id": str(uuid.uuid4()),
        "ce_source": "/pabal/rcs/message",
        "ce_type": event,
        "ce_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "ce_specversion": "1.0",
        "ce_traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
    }
    value = {"eventType": event, "timestamp": time.time_ns() // 1_000_000, **fields}
    return fields["messageId"], value, headers


def letter(id, **changed):
    return {"id": id, "messageId": f"msg-{id}", "userContact": "01012341234", "mno": "kt", "sendTime": "2024-09-23",
            "chatbotId": "0801234567", "description": "test", **changed}


def published():
    """One message that passes, with the least headers; one that fails; the first is cancelled."""
    key, value, headers = as_pabal_writes("SendSuccess", **letter(41))
    del headers["b3"], headers["traceparent"]
    headers["spring_json_header_types"] = '{"contentType":"java.lang.String","type":"java.lang.String"}'
    yield key, value, headers
    yield as_pabal_writes("SendSuccess", **letter(42, description="", title=None, buttons=[{"label": "a field of our own"}]))
    yield as_pabal_writes("Canceled", **letter(41))


def wait(what, condition, seconds=120):
    until = time.monotonic() + seconds
    while not (seen := condition()):
        if time.monotonic() > until:
            sys.exit(f"{what}: not within {seconds} s")
        time.sleep(0.3)
    return seen


def rows(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/validators", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return None


def both(data):
    """Text to read, base64 to be sure."""
    return {"text": data.decode("utf-8", "backslashreplace"), "base64": base64.b64encode(data).decode()}


def as_file(record):
    """A record byte for byte."""
    return {
        "key": record.key() and both(record.key()),
        "timestamp": record.timestamp()[1],
        "headers": [{"name": name, **both(value)} for name, value in record.headers() or []],
        "value": both(record.value()),
    }


def form(file):
    """What stays the same from one run to the next: which headers and fields there are, and those that are not chance."""
    headers = {header["name"]: header["name"] in ("type", "contentType") and header["text"] for header in file["headers"]}
    return headers, {name: type(value) for name, value in json.loads(file["value"]["text"]).items()}


def check(name, bootstrap, save):
    generation, settings = SERVICES[name]
    topic = f"interop-{name}-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        made.result()
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for key, value, headers in published():
        wrong = consumer.wrong_with(key, headers, value)
        assert not wrong, wrong
        producer.produce(topic, json.dumps(value, ensure_ascii=False).encode(), key, headers=headers)
    producer.flush()

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, **settings, "BROKERS": bootstrap, "TOPIC": topic, "GROUP": "validator", "PORT": str(port)}
    log = HERE / "target" / f"roundtrip-{name}.log"
    began = time.monotonic()
    with open(log, "w") as output:
        service = subprocess.Popen([HERE / "run", generation], env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        done = lambda: service.poll() is not None or any(row["canceled"] for row in rows(port) or [])
        wait(f"{name}: all three events handled (its log: {log})", done)
        took = time.monotonic() - began
        resident = next(line.split()[1] for line in open(f"/proc/{service.pid}/status") if line.startswith("VmRSS"))
    finally:
        service.terminate()
        service.wait(30)

    until = time.monotonic() + 30
    records = [record for record in consumer.records(bootstrap, topic, until, lambda: False)]
    answers = {json.loads(record.value())["eventType"]: record for record in records[3:]}
    assert sorted(answers) == ["ValidateFailed", "ValidateSucceed"], records
    for event, record in answers.items():
        value = json.loads(record.value())
        wrong = consumer.wrong_with(record.key(), consumer.texts(record), value)
        assert not wrong, wrong
        assert value["messageId"] == {"ValidateSucceed": "msg-41", "ValidateFailed": "msg-42"}[event], value
        file = HERE / "captured" / f"{name}-{event}.json"
        if save:
            file.write_text(json.dumps(as_file(record), ensure_ascii=False, indent=2) + "\n")
        seen, captured = form(as_file(record)), form(json.loads(file.read_text()))
        assert seen == captured, f"{file.name}: {captured}, but now {seen}"
    print(f"{name}: ValidateSucceed, ValidateFailed, cancelled; {took:.1f} s from its start, {int(resident) // 1024} MB")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("services", nargs="*", default=list(SERVICES), metavar="|".join(SERVICES))
    arguments.add_argument("--bootstrap", default=consumer.known_bootstrap(), help="default: BROKERS, or .infra/env")
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    for name in given.services:
        check(name, given.bootstrap, given.save)


if __name__ == "__main__":
    main()
