"""kafka-python (Debian's python3-kafka): produce with acks=all, and consume without a group. Values are bytes, the partition is 0."""

import logging
import threading
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it reports each lost connection; what matters is what it returns
CODECS = {"none": None, "gzip": "gzip", "snappy": "snappy", "lz4": "lz4", "zstd": "zstd"}


def produce(bootstrap, topic, values, codec="none", batch_bytes=2000, on_acknowledged=lambda count: None):
    """[(value, offset or None, error or None)] in the order of sending. One request in flight and retries, so the order holds; without
    idempotence what is sent again may stand twice. `on_acknowledged` is told the count, from another thread."""
    count, lock = 0, threading.Lock()

    def acknowledged(_):
        nonlocal count
        with lock:
            count += 1
            now = count
        on_acknowledged(now)

    client = KafkaProducer(bootstrap_servers=bootstrap.split(","), acks="all", retries=1000, retry_backoff_ms=50, linger_ms=2,
                           batch_size=batch_bytes, max_in_flight_requests_per_connection=1, compression_type=CODECS[codec],
                           reconnect_backoff_max_ms=200, metadata_max_age_ms=10000)
    try:
        sent = [(value, client.send(topic, value, partition=0).add_callback(acknowledged)) for value in values]
        done = []
        for value, future in sent:
            try:
                done.append((value, future.get(timeout=30).offset, None))
            except KafkaError as e:
                done.append((value, None, e))
        return done
    finally:
        client.close(timeout=5)


class Reader:
    """Reads partition 0 from its beginning, in a thread, until finish()."""

    def __init__(self, bootstrap, topic):
        self.read, self.error = [], None
        self._wanted, self._limit = None, None
        self._thread = threading.Thread(target=self._run, args=(bootstrap, topic), daemon=True)
        self._thread.start()

    def _run(self, bootstrap, topic):
        try:
            client = KafkaConsumer(group_id=None, bootstrap_servers=bootstrap.split(","), enable_auto_commit=False,
                                   reconnect_backoff_max_ms=200, metadata_max_age_ms=2000, fetch_max_wait_ms=100)
            client.assign([TopicPartition(topic, 0)])
            client.seek(TopicPartition(topic, 0), 0)
            while not self._finished():
                for records in client.poll(timeout_ms=200).values():
                    self.read += [(r.offset, r.value) for r in records]
            client.close()
        except Exception as e:  # told to whoever calls finish()
            self.error = e

    def _finished(self):
        return self._wanted is not None and (len(self.read) >= self._wanted or time.monotonic() > self._limit)

    def finish(self, count, limit_s=30):
        """[(offset, value)], once `count` were read or the time is over."""
        self._limit, self._wanted = time.monotonic() + limit_s, count
        self._thread.join(limit_s + 10)
        assert self.error is None, f"kafka-python's consumer failed: {self.error!r}"
        assert not self._thread.is_alive(), "kafka-python's consumer hangs"
        return self.read
