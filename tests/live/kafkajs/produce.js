// Produces with kafkajs. Standard input is a JSON object: brokers (list), topic, values (list of strings), batch (values per send), idempotent
// (bool), codec ("none", "gzip", "snappy"), createWithReplicas (0: the topic exists). Prints one JSON line, [[value, offset], ...], in the
// order of sending; anything that fails ends it with exit code 1 and the reason on standard error.
"use strict";

const fs = require("fs");
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require("kafkajs");
CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy");

const kCodecs = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy };

async function create(kafka, topic, replicas) {
  const admin = kafka.admin();
  await admin.connect();
  const created = await admin.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor: replicas }], waitForLeaders: true });
  if (!created) throw new Error(`createTopics says that ${topic} exists already`);
  await admin.disconnect();
}

async function produce(kafka, options) {
  const producer = kafka.producer({ idempotent: options.idempotent, maxInFlightRequests: options.idempotent ? 1 : null });
  await producer.connect();
  const done = [];
  for (let first = 0; first < options.values.length; first += options.batch) {
    const values = options.values.slice(first, first + options.batch);
    const messages = values.map((value) => ({ value, partition: 0 }));
    const [answer] = await producer.send({ topic: options.topic, acks: -1, compression: kCodecs[options.codec], messages });
    if (answer.errorCode !== 0) throw new Error(`a send was answered with error ${answer.errorCode}`);
    values.forEach((value, i) => done.push([value, Number(answer.baseOffset) + i]));
  }
  await producer.disconnect();
  return done;
}

async function main() {
  const options = JSON.parse(fs.readFileSync(0, "utf8"));
  const kafka = new Kafka({ brokers: options.brokers, logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50, retries: 10 } });
  if (options.createWithReplicas > 0) await create(kafka, options.topic, options.createWithReplicas);
  process.stdout.write(JSON.stringify(await produce(kafka, options)) + "\n");
}

main().catch((error) => {
  process.stderr.write(`${error.stack || error}\n`);
  process.exitCode = 1;
});
