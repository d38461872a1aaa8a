// Every kind of workload, a line each (workload.h).
#include "scenarios/workloads/consume.h"
#include "scenarios/workloads/produce.h"
#include "scenarios/workloads/workload.h"

namespace sg::scenario {

std::span<const WorkloadKind> workload_kinds() {
  static const WorkloadKind kKinds[] = {produce_kind(), consume_kind()};
  return kKinds;
}

}  // namespace sg::scenario
