#include "broker/kafka/metadata.h"

#include "broker/kafka/describe.h"

namespace sg::kafka {

template <class Io>
void MetadataRequest::describe(Io& io) {
  io.field(topics, kAlways, since(1));
  io.field(allow_auto_topic_creation, since(4));
  io.field(include_cluster_authorized_operations, between(8, 10));
  io.field(include_topic_authorized_operations, since(8));
  io.end();
}

template <class Io>
void MetadataRequest::Topic::describe(Io& io) {
  io.field(topic_id, since(10));
  io.field(name, kAlways, since(10));
  io.end();
}

template <class Io>
void MetadataResponse::describe(Io& io) {
  io.field(throttle_time_ms, since(3));
  io.field(brokers);
  io.field(cluster_id, since(2));
  io.field(controller_id, since(1));
  io.field(topics);
  io.field(cluster_authorized_operations, between(8, 10));
  io.end();
}

template <class Io>
void MetadataResponse::Broker::describe(Io& io) {
  io.field(node_id);
  io.field(host);
  io.field(port);
  io.field(rack, since(1));
  io.end();
}

template <class Io>
void MetadataResponse::Topic::describe(Io& io) {
  io.field(error_code);
  io.field(name, kAlways, since(12));
  io.field(topic_id, since(10));
  io.field(is_internal, since(1));
  io.field(partitions);
  io.field(topic_authorized_operations, since(8));
  io.end();
}

template <class Io>
void MetadataResponse::Partition::describe(Io& io) {
  io.field(error_code);
  io.field(partition_index);
  io.field(leader_id);
  io.field(leader_epoch, since(7));
  io.field(replica_nodes);
  io.field(isr_nodes);
  io.field(offline_replicas, since(5));
  io.end();
}

SG_KAFKA_MESSAGE(MetadataRequest);
SG_KAFKA_MESSAGE(MetadataResponse);

}  // namespace sg::kafka
