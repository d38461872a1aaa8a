// One connection of our Kafka client to one broker: requests go out pipelined, answers are matched by correlation id. Works over any
// net::Network, simulated or real.
// Invariant: every call ends: with its answer, with the connection's end (Errc::reset), or at its deadline.
#pragma once

#include <deque>
#include <memory>

#include "base/sync.h"
#include "broker/frame_reader.h"
#include "broker/kafka/codec.h"
#include "net/network.h"
#include "scenarios/client/versions.h"

namespace sg::scenario {

class BrokerConnection {
 public:
  static constexpr size_t kMaxResponseBytes = 128u << 20;

  // Connects, and asks which APIs the broker speaks, as real clients do; reader and writer live in `tasks`, which outlives the connection's
  // use and is joined by its owner. Errors as of net::Network::connect and call().
  static Result<std::shared_ptr<BrokerConnection>> open(Task& task, net::Network& network, TaskGroup& tasks, const net::Address& address,
                                                        std::string client_id, Time deadline, const Versions& versions = {});

  // Sends a request and waits for its answer. Several tasks may call at once; requests leave in the order of the calls.
  // Errc::reset: the connection broke (the request may have been carried out). Errc::timeout: likewise. Errc::invalid: the answer
  // cannot be decoded. Errc::stopped.
  template <class Request>
  Result<typename Request::Response> call(Task& task, int16_t version, const Request& request, Time deadline) {
    int32_t id = next_correlation_++;
    TRY(SharedBytes frame, exchange(task, id, kafka::request_frame(version, id, client_id_, request), deadline));
    TRY(auto response, kafka::decode_response_header(Request::kApiKey, version, frame));
    return kafka::decode<typename Request::Response>(version, response.body);
  }

  // Likewise with any version of any API, and a body that need not be one; the answer is what follows its length.
  Result<SharedBytes> ask(Task& task, kafka::ApiKey key, int16_t version, SharedBytes body, Time deadline);

  // Sends a request that is not answered (acks=0).
  template <class Request>
  Result<> send_only(int16_t version, const Request& request) {
    if (broken_) return fail(Errc::reset);
    enqueue(kafka::request_frame(version, next_correlation_++, client_id_, request));
    return {};
  }

  bool broken() const { return broken_; }
  void close();

 private:
  struct Pending {
    int32_t correlation;
    std::optional<SharedBytes> frame;
    bool broken = false;
    Signal arrived;
  };

  BrokerConnection(std::unique_ptr<net::Connection> connection, std::string client_id);
  Result<SharedBytes> exchange(Task& task, int32_t id, std::vector<SharedBytes> frame, Time deadline);
  void enqueue(std::vector<SharedBytes> frame);
  void read_loop(Task& task);
  void write_loop(Task& task);
  void fail_all();

  std::unique_ptr<net::Connection> connection_;
  std::string client_id_;
  int32_t next_correlation_ = 1;
  bool broken_ = false;
  std::deque<SharedBytes> outgoing_;
  Signal wake_;
  std::deque<Pending*> pending_;  // in the order of their requests; on the callers' stacks
};

}  // namespace sg::scenario
