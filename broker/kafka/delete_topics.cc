#include "broker/kafka/delete_topics.h"

#include "broker/kafka/describe.h"

namespace sg::kafka {

template <class Io>
void DeleteTopicsRequest::describe(Io& io) {
  io.field(topics, since(6));
  io.field(topic_names, between(0, 5));
  io.field(timeout_ms);
  io.end();
}

template <class Io>
void DeleteTopicsRequest::Topic::describe(Io& io) {
  io.field(name);
  io.field(topic_id);
  io.end();
}

template <class Io>
void DeleteTopicsResponse::describe(Io& io) {
  io.field(throttle_time_ms, since(1));
  io.field(responses);
  io.end();
}

template <class Io>
void DeleteTopicsResponse::Topic::describe(Io& io) {
  io.field(name, kAlways, since(6));
  io.field(topic_id, since(6));
  io.field(error_code);
  io.field(error_message, since(5));
  io.end();
}

SG_KAFKA_MESSAGE(DeleteTopicsRequest);
SG_KAFKA_MESSAGE(DeleteTopicsResponse);

}  // namespace sg::kafka
