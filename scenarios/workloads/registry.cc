// Every kind of workload, a line each (workload.h).
#include "scenarios/workloads/admin.h"
#include "scenarios/workloads/consume.h"
#include "scenarios/workloads/crowd.h"
#include "scenarios/workloads/odd_requests.h"
#include "scenarios/workloads/produce.h"
#include "scenarios/workloads/produce_many.h"
#include "scenarios/workloads/watch_ends.h"
#include "scenarios/workloads/watch_metadata.h"
#include "scenarios/workloads/workload.h"

namespace sg::scenario {

std::span<const WorkloadKind> workload_kinds() {
  static const WorkloadKind kKinds[] = {produce_kind(),        produce_many_kind(), consume_kind(), watch_ends_kind(),
                                        watch_metadata_kind(), admin_kind(),        crowd_kind(),   odd_requests_kind()};
  return kKinds;
}

}  // namespace sg::scenario
