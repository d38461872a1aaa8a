#include "scenarios/observe/ghost.h"

#include <fmt/format.h>

namespace sg::scenario {

std::string Ghost::name(StreamId stream) const {
  const metadata::Partition* p = catalogue.partition(stream);
  const metadata::Topic* topic = p ? catalogue.topic(p->topic_id) : nullptr;
  return topic ? fmt::format("{}-{} (stream {})", topic->name, p->index, stream) : fmt::format("stream {}", stream);
}

}  // namespace sg::scenario
