"""librdkafka under load: many records, several partitions, everything idempotent and acknowledged by all replicas, read while it is
written. Every record is counted by content, in its partition, in order."""

import threading
import time

from clients import consumer, create, producer

RECORDS = 50_000
PARTITIONS = 6


class Reader:
    """Reads all partitions in a thread: `read[p]` is [(offset, value)] in the order of arrival."""

    def __init__(self, bootstrap, topic, wanted):
        self.read = [[] for _ in range(PARTITIONS)]
        self.count = 0
        self.stopped = False
        self._wanted = wanted
        self._thread = threading.Thread(target=self._run, args=(bootstrap, topic), daemon=True)
        self._thread.start()

    def _run(self, bootstrap, topic):
        client = consumer(bootstrap, topic, PARTITIONS)
        while self.count < self._wanted and not self.stopped:
            for m in client.consume(2000, 0.2):
                if not m.error():
                    self.read[m.partition()].append((m.offset(), m.value()))
                    self.count += 1
        client.close()

    def finish(self, limit_s=60):
        self._thread.join(limit_s)
        self.stopped = True
        self._thread.join()


def fifty_thousand_records_read_while_written(env):
    with env.cluster() as c:
        create(c, "load", 3, PARTITIONS)
        reader = Reader(c.bootstrap, "load", RECORDS)
        client = producer(c.bootstrap, linger_ms=5)
        acknowledged, failed, seen_meanwhile = [{} for _ in range(PARTITIONS)], [], 0

        def delivered(error, message):
            if error:
                failed.append(error)
            else:
                acknowledged[message.partition()][message.offset()] = message.value()

        sent = [[] for _ in range(PARTITIONS)]
        for i in range(RECORDS):
            partition = i % PARTITIONS
            value = f"partition {partition} record {i:06} ".encode().ljust(100, b"x")
            sent[partition].append(value)
            while True:
                try:
                    client.produce("load", value, partition=partition, on_delivery=delivered)
                    break
                except BufferError:  # librdkafka's queue is full: wait for answers
                    client.poll(0.1)
            client.poll(0)
            if i == RECORDS // 2:  # the consumer keeps up while the producer is at work
                deadline = time.monotonic() + 30
                while reader.count == 0 and time.monotonic() < deadline:
                    client.poll(0.05)
                seen_meanwhile = reader.count
        client.flush(60)
        reader.finish()
        assert not failed, f"{len(failed)} sends failed: {failed[0]}"
        assert seen_meanwhile > 0, "nothing could be read while the second half was still to be written"
        for partition in range(PARTITIONS):
            wanted = list(enumerate(sent[partition]))
            read = reader.read[partition]
            assert read == wanted, f"partition {partition}: {len(read)} records read, {len(wanted)} sent; {first_difference(read, wanted)}"
            wrong = sum(1 for offset, value in wanted if acknowledged[partition].get(offset) != value)
            assert wrong == 0, f"partition {partition}: {wrong} records are not where their acknowledgement said"


def first_difference(read, wanted):
    for got, due in zip(read, wanted):
        if got != due:
            return f"read {got}, expected {due}"
    return "one is the beginning of the other"


CASES = [fifty_thousand_records_read_while_written]
