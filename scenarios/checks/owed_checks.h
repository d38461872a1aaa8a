// Owed to everybody who waits (correctness.md part 2, L4): each request is answered within the time that it names itself plus a small
// margin, or its connection ends, whatever is broken elsewhere.
//
// Requests of one connection are answered in their order, so a request's time begins when it has been read and nothing before it waits. A
// machine that stands still, or whose disk does, owes nothing meanwhile; nor does one whose answer has begun to leave and is not taken.
// Invariant: what is outstanding is known with its reason to wait, for whoever has to find out why a run did not end well.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "broker/kafka/header.h"
#include "scenarios/judge.h"
#include "scenarios/world/machine.h"

namespace sg::scenario {

// Beyond its own time: for what the broker asks others meanwhile, and gives up on by itself.
inline constexpr Duration kAnswerMargin = 3s;

class OwedChecks {
 public:
  explicit OwedChecks(Judge& judge) : judge_(judge) {}

  struct Request {
    uint64_t number = 0;
    kafka::RequestHeader header;
    Duration own{};  // the time that it names
    Time asked;
    bool arrived = false;
  };
  void on_request(MachineId to, uint64_t connection, Request request);
  void on_arrived(uint64_t connection, uint64_t number, Time now);
  // A Produce with acks=0, which nothing answers: its batches, by their checksums, are appended, or its connection ends, which is all that
  // tells its client.
  void on_unanswerable(MachineId to, uint64_t connection, uint64_t number, std::vector<uint32_t> batches);
  void on_appended(MachineId machine, uint32_t batch);
  void on_answer(uint64_t connection, uint64_t number, Time now);
  void on_answer_begins(uint64_t connection);
  void on_connection_over(uint64_t connection);
  void on_died(MachineId machine);

  // Looks now and then, with each event. `excused_since`: the latest moment at which the machine itself stood still.
  void look(Time now, const std::function<Time(MachineId)>& excused_since);

  // Every request that waits, oldest first, one line each.
  std::vector<std::string> outstanding(Time now) const;

 private:
  static constexpr Duration kLookEvery = 100ms;
  struct Unanswerable {
    MachineId machine;
    uint64_t connection = 0;
    uint64_t number = 0;
    std::optional<Time> arrived;
    std::vector<uint32_t> batches;  // that are not appended
  };
  struct Connection {
    MachineId machine = kNoNode;
    std::deque<Request> requests;
    Time first_since;      // since when the first one has been the first
    bool leaving = false;  // some of an answer's bytes have left
  };

  Judge& judge_;
  std::map<uint64_t, Connection> connections_;
  std::vector<Unanswerable> unanswerable_;
  Time next_look_;
};

}  // namespace sg::scenario
