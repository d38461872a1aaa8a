// A controller over a catalogue, and a clock that the test moves: what it proposes is applied when the test says so, what it answers is
// kept. Invariants are checked with every record (fixture.h).
#pragma once

#include <deque>

#include "broker/metadata/controller.h"
#include "tests/metadata/fixture.h"

namespace sg::metadata {

class Timeline {
 public:
  explicit Timeline(ControllerOptions options = defaults()) : options_(options) { controller_.emplace(log.catalogue(), options_, Rng(7)); }

  static ControllerOptions defaults() {
    ControllerOptions o;
    o.node = NodeId(1);
    o.default_replication_factor = 3;
    return o;
  }

  Controller& controller() { return *controller_; }
  const Catalogue& catalogue() const { return log.catalogue(); }
  const Broker& broker(int node) const { return log.broker(node); }

  void pass(Duration d) { now = now + d; }
  // Moves to the controller's deadline and lets it act. The deadline must exist.
  void run_to_deadline() {
    REQUIRE(controller_->deadline() != Time::never());
    now = std::max(now, controller_->deadline());
    take(controller_->on_deadline(now));
  }

  void take(ControllerOutput out) {
    for (Proposal& p : out.proposals) proposed.push_back(std::move(p));
    for (AddressedReply& r : out.replies) replies.push_back(std::move(r));
    for (HeartbeatReply& h : out.heartbeats) heartbeats.push_back(h);
    for (NodeId n : out.probes) probes.push_back(n);
    for (Inquiry& i : out.inquiries) inquiries.push_back(std::move(i));
    for (std::string& line : out.notes) notes.push_back(std::move(line));
  }

  void start() { take(controller_->start(now, Uuid{})); }
  void stop() { take(controller_->stop(now)); }
  // Leadership moves to another node: a new controller that has seen nothing. What was proposed and not applied is gone.
  void fail_over(int to) {
    options_.node = NodeId(to);
    controller_.emplace(log.catalogue(), options_, Rng(8));
    proposed.clear();
    probes.clear();
    inquiries.clear();
    start();
  }

  void apply_one() {
    REQUIRE(!proposed.empty());
    Proposal p = std::move(proposed.front());
    proposed.pop_front();
    take(controller_->on_applied(now, p.token, log.apply(p.record)));
  }
  void apply_all() {
    for (int bound = 0; !proposed.empty(); ++bound) {
      REQUIRE(bound < 1000);
      apply_one();
    }
  }
  void lose_one() {
    REQUIRE(!proposed.empty());
    Token token = proposed.front().token;
    proposed.pop_front();
    take(controller_->on_proposal_failed(now, token));
  }

  // A heartbeat of the run that is registered, by a broker that has applied everything.
  HeartbeatStatus beat(int node) { return beat(node, log.catalogue().applied()); }
  HeartbeatStatus beat(int node, LogIndex applied) {
    const Broker& b = broker(node);
    take(controller_->on_heartbeat(now, {b.node, b.run, b.epoch, applied, 1}));
    return heartbeats.back().status;
  }
  // What the oldest inquiry finds at the address.
  void answer(std::optional<Run> run, Errc why = Errc::timeout) {
    REQUIRE(!inquiries.empty());
    Inquiry asked = inquiries.front();
    inquiries.pop_front();
    take(controller_->on_answer(now, asked, run ? Result<Answer>(Answer{asked.node, *run}) : fail(why)));
  }
  // Registers a run of a broker at the broker's address, and lets it be heard of.
  void boot(int node, uint64_t run, uint64_t directory = 1) {
    request(node, Replayed::registration(node, run, directory));
    if (!inquiries.empty()) {
      answer(sg::test::nth_run(run, directory));
      request(node, Replayed::registration(node, run, directory));
    }
    apply_all();
    if (broker(node).fenced) CHECK(beat(node) == HeartbeatStatus::fenced);
    apply_all();
    CHECK(beat(node) == HeartbeatStatus::ok);
  }

  template <class Body>
  uint64_t request(int from, Body body) {
    uint64_t id = next_id_++;
    take(controller_->on_request(now, NodeId(from), {id, std::move(body)}));
    return id;
  }
  // The only reply to this request; it is taken away.
  ControllerReply reply(uint64_t id) {
    auto has_id = [&](const AddressedReply& r) { return r.reply.id == id; };
    REQUIRE(std::count_if(replies.begin(), replies.end(), has_id) == 1);
    auto at = std::find_if(replies.begin(), replies.end(), has_id);
    ControllerReply found = std::move(at->reply);
    replies.erase(at);
    return found;
  }
  template <class Body, class Request>
  Body ask(int from, Request request_body) {
    uint64_t id = request(from, std::move(request_body));
    apply_all();
    ControllerReply r = reply(id);
    INFO(to_string(r.error), " ", r.message);
    REQUIRE(std::holds_alternative<Body>(r.body));
    return std::get<Body>(r.body);
  }

  Time now{1'000'000'000};
  Replayed log;
  std::deque<Proposal> proposed;
  std::vector<AddressedReply> replies;
  std::vector<HeartbeatReply> heartbeats;
  std::vector<NodeId> probes;
  std::deque<Inquiry> inquiries;
  std::vector<std::string> notes;

 private:
  ControllerOptions options_;
  std::optional<Controller> controller_;
  uint64_t next_id_ = 1;
};

// Three live brokers under controller 1, and topic "t" (1 partition, 3 replicas).
struct ThreeNodes : Timeline {
  ThreeNodes() {
    start();
    apply_all();
    for (int node : {1, 2, 3}) boot(node, 10);
    auto created =
        ask<CreateTopicsReply>(2, CreateTopicsRequest{.topics = {{.name = "t", .assignment = {nodes({2, 3, 1})}, .configs = {}}}});
    REQUIRE(created.topics[0].error == ControllerError::none);
    stream = catalogue().topic("t")->partitions[0];
  }
  const Partition& p() const { return *catalogue().partition(stream); }
  void beat_all(std::initializer_list<int> alive) {
    for (int node : alive) beat(node);
  }
  StreamId stream;
};

}  // namespace sg::metadata
