// An answer is the answer to its request: it speaks of what was asked for, in that order, and keeps the bounds and the time that the client
// has named (Kafka protocol guide; KIP-74 on max_bytes, docs/kafka-support.md).
//
// Judged at the answer as it leaves; what it says of the log is judged elsewhere (partition_checks.h).
#pragma once

#include "base/time.h"
#include "broker/kafka/fetch.h"
#include "broker/kafka/list_offsets.h"
#include "broker/kafka/metadata.h"
#include "broker/kafka/produce.h"
#include "scenarios/judge.h"
#include "scenarios/observe/ledgers.h"

namespace sg::scenario {

class AskedChecks {
 public:
  explicit AskedChecks(Judge& judge) : judge_(judge) {}

  // `waited`: since the broker had read the request.
  void on_fetched(MachineId by, Duration waited, const kafka::FetchRequest& asked, const kafka::FetchResponse& answer);
  void on_offsets(MachineId by, const kafka::ListOffsetsRequest& asked, const kafka::ListOffsetsResponse& answer);
  void on_produced(MachineId by, const kafka::ProduceRequest& asked, const kafka::ProduceResponse& answer);
  void on_metadata(MachineId by, const kafka::MetadataRequest& asked, const kafka::MetadataResponse& answer);

 private:
  template <class Request, class Response>
  bool speaks_of(MachineId by, std::string_view api, const Request& asked, const Response& answer);

  // What an answer gives of one partition.
  struct Given {
    size_t bytes = 0;
    size_t batches = 0;
    Offset first, next;  // of the records; equal if there are none
    bool has_gap = false;
  };
  static Given given(const kafka::FetchResponse::Partition& p);
  void judge_records(MachineId by, const std::string& topic, const kafka::FetchRequest::Partition& asked,
                     const kafka::FetchResponse::Partition& p, const Given& g);

  Judge& judge_;
};

}  // namespace sg::scenario
