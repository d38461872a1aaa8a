// The Kafka listener: accepts clients, reads request headers, checks version and bounds, and hands each request to its handler.
// What a client does wrong is answered with Kafka's error where it can be parsed, ends its connection where it cannot, is counted,
// and is logged at a bounded rate.
#pragma once

#include <list>

#include "broker/client_connection.h"
#include "broker/handlers/handlers.h"

namespace sg::broker {

class KafkaServer {
 public:
  KafkaServer(Services services, const Config::Limits& limits);

  // Errc::busy and the like from Network::listen.
  Result<> listen(const net::Address& address);
  net::Address local() const { return listener_->local(); }

  // Accepts and serves until stopped; every connection has ended when it returns.
  void run(Task& task);

  // The journal has written something: clients that were held back may have room.
  void on_durable();

  // Ends every client's connection, and takes none: nothing leaves any more, not even answers that are complete.
  void silence();

  struct Stats {
    uint64_t requests = 0;
    uint64_t connections = 0;
    uint64_t malformed = 0;            // requests that could not be parsed
    uint64_t unsupported_version = 0;  // known API, version not served
    uint64_t unknown_api = 0;
    uint64_t too_many_connections = 0;
    uint64_t idle = 0;          // connections ended because nothing happened on them
    uint64_t kept_waiting = 0;  // ended because they kept memory that others needed
  };
  const Stats& stats() const { return stats_; }
  const InFlight& in_flight() const { return in_flight_; }

 private:
  void serve(Task& task, std::shared_ptr<net::Connection> connection);
  void upkeep(Task& task);
  void end_idle(Time now);
  void end_those_who_keep_us_waiting(Time now);
  Result<> dispatch(ClientConnection& connection, SharedBytes frame, std::shared_ptr<ResponseSlot> slot);
  void note_misbehaviour(const net::Address& peer, std::string_view what);

  Services services_;
  const Config::Limits& limits_;
  Log log_;
  LogLimiter limiter_{1s};
  std::unique_ptr<net::Listener> listener_;
  InFlight in_flight_;
  bool silent_ = false;
  std::list<ClientConnection*> clients_;  // in the order of their coming
  Stats stats_;
};

}  // namespace sg::broker
