#include "scenarios/observe/observer.h"

namespace sg::scenario {

std::optional<StreamId> Seen::stream_of(MachineId machine, std::string_view topic_name, int32_t index) const {
  const metadata::Catalogue* known = catalogue_of(machine);
  const metadata::Topic* topic = (known ? *known : ghost.catalogue).topic(topic_name);
  if (!topic || index < 0 || static_cast<size_t>(index) >= topic->partitions.size()) return std::nullopt;
  return topic->partitions[static_cast<size_t>(index)];
}

const metadata::Catalogue* Seen::catalogue_of(MachineId machine) const {
  const broker::Node* broker = cluster.running(machine);
  return broker ? broker->catalogue() : nullptr;
}

}  // namespace sg::scenario
