"""Producing, consuming and comparing with confluent-kafka (librdkafka): what most cases do, in one place. Values are bytes."""

import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic


def create(cluster, topic, replicas, partitions=1):
    """Returns when the topic has its leaders and all its replicas are in sync."""
    cluster.wait_brokers(len(cluster.nodes))
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.create_topics([NewTopic(topic, partitions, replicas)])[topic].result(20)
    for partition in range(partitions):
        cluster.wait_in_sync(topic, replicas, partition)


def producer(bootstrap, **settings):
    """Idempotent, acks=all, silent. Keyword arguments are librdkafka's settings with underscores for dots; callbacks keep their names."""
    config = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0, "reconnect.backoff.max.ms": 500,
              "message.timeout.ms": 30000}
    config.update({name if callable(value) else name.replace("_", "."): value for name, value in settings.items()})
    return Producer(config)


def produce(cluster, topic, values, timeout_ms=30000, partition=-1, **settings):
    """[(value, offset or None, error or None)] in the order of completion."""
    done = []
    client = producer(cluster.bootstrap, message_timeout_ms=timeout_ms, **settings)
    for value in values:
        client.produce(topic, value, partition=partition, on_delivery=lambda e, m: done.append((m.value(), None if e else m.offset(), e)))
        client.poll(0)
    client.flush(timeout_ms / 1000 + 10)
    assert len(done) == len(values), f"{len(values) - len(done)} sends were never answered"
    return done


def consumer(bootstrap, topic, partitions=1, offset=0):
    """Reads the partitions from this offset of each, without a group."""
    client = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False, "log_level": 0})
    client.assign([TopicPartition(topic, p, offset) for p in range(partitions)])
    return client


def end_offset(bootstrap, topic, partition=0):
    client = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "log_level": 0})
    _, high = client.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
    client.close()
    return high


def consume(cluster, topic, count, limit_s=30, partition=0):
    """[(offset, value)] of one partition from its beginning: `count` records, and whatever follows them."""
    client = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "unused", "enable.auto.commit": False, "log_level": 0,
                       "enable.partition.eof": True})
    client.assign([TopicPartition(topic, partition, 0)])
    got, deadline, at_end = [], time.monotonic() + limit_s, False
    while time.monotonic() < deadline and not (at_end and len(got) >= count):
        m = client.poll(0.5)
        if m is None:
            continue
        if not m.error():
            got.append((m.offset(), m.value()))
        at_end = m.error() is not None and m.error().code() == KafkaError._PARTITION_EOF  # other errors are settled by later polls
    client.close()
    return got


def values(first, last):
    return [f"message {i:04}".encode() for i in range(first, last)]


def expect(got, wanted):
    """`got` is [(offset, value)]: exactly the wanted values, in order, at offsets 0, 1, 2 ..."""
    assert [v for _, v in got] == wanted, f"{len(wanted)} records due in order, {len(got)} read: {brief(got[:3])} ... {brief(got[-3:])}"
    assert [o for o, _ in got] == list(range(len(wanted))), "offsets are not 0, 1, 2 ..."


def expect_acknowledged(done, got):
    """`done` is what produce() returned: nothing failed, and each record stands where its acknowledgement said."""
    failed = [e for _, _, e in done if e]
    assert not failed, f"{len(failed)} of {len(done)} sends failed: {failed[0]}"
    by_offset = dict(got)
    wrong = [(o, v) for v, o, _ in done if by_offset.get(o) != v]
    assert not wrong, f"{len(wrong)} acknowledged records are not at their offset, e.g. {brief(wrong[:3])}"


def brief(records):
    return [(offset, value[:40]) for offset, value in records]
