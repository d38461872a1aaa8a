#include "broker/kafka/create_topics.h"

#include "broker/kafka/describe.h"

namespace sg::kafka {

template <class Io>
void CreateTopicsRequest::describe(Io& io) {
  io.field(topics);
  io.field(timeout_ms);
  io.field(validate_only, since(1));
  io.end();
}

template <class Io>
void CreateTopicsRequest::Topic::describe(Io& io) {
  io.field(name);
  io.field(num_partitions);
  io.field(replication_factor);
  io.field(assignments);
  io.field(configs);
  io.end();
}

template <class Io>
void CreateTopicsRequest::Assignment::describe(Io& io) {
  io.field(partition_index);
  io.field(broker_ids);
  io.end();
}

template <class Io>
void CreateTopicsRequest::Config::describe(Io& io) {
  io.field(name);
  io.field(value);
  io.end();
}

template <class Io>
void CreateTopicsResponse::describe(Io& io) {
  io.field(throttle_time_ms, since(2));
  io.field(topics);
  io.end();
}

template <class Io>
void CreateTopicsResponse::Topic::describe(Io& io) {
  io.field(name);
  io.field(topic_id, since(7));
  io.field(error_code);
  io.field(error_message, since(1));
  io.field(num_partitions, since(5));
  io.field(replication_factor, since(5));
  io.field(configs, since(5));
  io.end(tagged(0, topic_config_error_code, since(5)));
}

template <class Io>
void CreateTopicsResponse::Config::describe(Io& io) {
  io.field(name);
  io.field(value);
  io.field(read_only);
  io.field(config_source);
  io.field(is_sensitive);
  io.end();
}

SG_KAFKA_MESSAGE(CreateTopicsRequest);
SG_KAFKA_MESSAGE(CreateTopicsResponse);

}  // namespace sg::kafka
