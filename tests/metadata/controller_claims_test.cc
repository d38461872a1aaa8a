// Timelines of two processes that claim one node id: who is let in, when, and what both are told.
#include <algorithm>

#include "tests/metadata/timeline.h"

namespace sg::metadata {
namespace {

using test::nth_run;

struct Claimed : ThreeNodes {
  // Node 2 is run 10 of directory 1. Another process asks to be registered as node 2.
  static RegisterBroker claimant(uint64_t run, uint64_t directory, uint16_t port) {
    RegisterBroker r = Replayed::registration(2, run, directory);
    r.peer.port = port;
    return r;
  }
  ControllerError claim(const RegisterBroker& r) {
    uint64_t id = request(2, r);
    if (!proposed.empty()) return ControllerError::none;
    ControllerReply reply_to_it = reply(id);
    message = reply_to_it.message;
    return reply_to_it.error;
  }
  bool undisturbed() const { return broker(2).run == nth_run(10) && !broker(2).fenced && p().isr_nodes() == nodes({2, 3, 1}); }
  static constexpr uint16_t kHome = 9194;
  static constexpr uint16_t kElsewhere = 7000;
  std::string message;
};

TEST_CASE("given a living node, when a twin with an empty directory claims its id, then it is refused for as long as that one answers") {
  Claimed t;
  for (int second = 0; second < 20; ++second) {
    t.pass(1s);  // no heartbeat reaches this controller, and yet it answers
    t.take(t.controller().on_alive(t.now, NodeId(1), nth_run(10)));
    t.take(t.controller().on_alive(t.now, NodeId(3), nth_run(10)));
    ControllerError error = t.claim(Claimed::claimant(1, 9, Claimed::kElsewhere));
    if (error == ControllerError::busy) {
      t.answer(nth_run(10));
      error = t.claim(Claimed::claimant(1, 9, Claimed::kElsewhere));
    }
    CHECK(error == ControllerError::claimed);
    while (!t.inquiries.empty()) t.answer(nth_run(10));
  }
  CHECK(t.undisturbed());
  for (const char* part : {"127.0.0.1:9194", "127.0.0.1:7000", "another directory", "Stop whichever"})
    CHECK(t.message.find(part) != std::string::npos);
  // The controller says it too, once.
  CHECK(std::ranges::count_if(t.notes, [](const std::string& n) { return n.starts_with("node_claimed node=2 verdict=refused"); }) == 1);
}

TEST_CASE("given a node that does not answer, when another directory claims its id, then that is let in a session after the last sign") {
  Claimed t;
  t.beat(2);
  const Time last_sign = t.now;
  CHECK(t.claim(Claimed::claimant(1, 9, Claimed::kElsewhere)) == ControllerError::busy);
  CHECK(t.inquiries.front().address.port == Claimed::kHome);
  CHECK(t.claim(Claimed::claimant(1, 9, Claimed::kElsewhere)) == ControllerError::busy);  // one inquiry at a time
  CHECK(t.inquiries.size() == 1);
  SUBCASE("silent") {
    for (int i = 0; i < 6; ++i) {
      while (!t.inquiries.empty()) t.answer({});
      t.beat_all({1, 3});
      CHECK(t.claim(Claimed::claimant(1, 9, Claimed::kElsewhere)) == ControllerError::claimed);
      t.pass(490ms);
    }
    while (!t.inquiries.empty()) t.answer({});
    t.now = last_sign + 3s;
    CHECK(t.claim(Claimed::claimant(1, 9, Claimed::kElsewhere)) == ControllerError::none);
    t.apply_all();
    CHECK(t.broker(2).run == nth_run(1, 9));
    CHECK(t.p().isr_nodes() == nodes({3, 1}));
  }
  SUBCASE("heard by a message") {
    t.answer({});
    t.pass(2900ms);
    t.beat_all({1, 2, 3});
    t.pass(200ms);
    CHECK(t.claim(Claimed::claimant(1, 9, Claimed::kElsewhere)) == ControllerError::busy);  // what was found is old
    t.answer({});
    CHECK(t.claim(Claimed::claimant(1, 9, Claimed::kElsewhere)) == ControllerError::claimed);
    CHECK(t.undisturbed());
  }
}

TEST_CASE("given a replaced disk, when its process answers at the node's own address, then it is let in at once") {
  Claimed t;
  t.beat(2);
  CHECK(t.claim(Claimed::claimant(1, 9, Claimed::kHome)) == ControllerError::busy);
  SUBCASE("and nothing else was heard") {
    t.answer(nth_run(1, 9));
    CHECK(t.claim(Claimed::claimant(1, 9, Claimed::kHome)) == ControllerError::none);
    t.apply_all();
    CHECK(t.broker(2).run == nth_run(1, 9));
    CHECK(t.broker(2).fenced);
    CHECK(t.p().leader == NodeId(3));
  }
  SUBCASE("but the old run was heard after that: then it lives, wherever it was not found") {
    t.answer(nth_run(1, 9));
    t.beat(2);
    CHECK(t.claim(Claimed::claimant(1, 9, Claimed::kHome)) == ControllerError::busy);
    CHECK(t.undisturbed());
  }
}

TEST_CASE("given a restart of the same directory, when it is at the same address, then nobody is asked; elsewhere it is contested") {
  Claimed t;
  t.beat(2);
  SUBCASE("same address") {
    CHECK(t.claim(Claimed::claimant(11, 1, Claimed::kHome)) == ControllerError::none);
    CHECK(t.inquiries.empty());
    t.apply_all();
    CHECK(t.p().isr_nodes() == nodes({2, 3, 1}));
  }
  SUBCASE("a copy of the directory was started elsewhere") {
    CHECK(t.claim(Claimed::claimant(11, 1, Claimed::kElsewhere)) == ControllerError::busy);
    t.answer(nth_run(10));
    CHECK(t.claim(Claimed::claimant(11, 1, Claimed::kElsewhere)) == ControllerError::claimed);
    CHECK(t.message.find("a copy of its directory") != std::string::npos);
    CHECK(t.undisturbed());
  }
}

TEST_CASE("given a node that moved, when nobody listens at its old address, then it is let in at once; a silent one has its session") {
  for (const Errc why : {Errc::refused, Errc::timeout}) {
    for (const uint64_t directory : {1, 9}) {
      Claimed t;
      t.beat(2);
      CHECK(t.claim(Claimed::claimant(11, directory, Claimed::kElsewhere)) == ControllerError::busy);
      t.answer({}, why);
      const bool moved = why == Errc::refused && directory == 1;
      CHECK(t.claim(Claimed::claimant(11, directory, Claimed::kElsewhere)) == (moved ? ControllerError::none : ControllerError::claimed));
    }
  }
  // Another node had a link to it, and was refused where it stood.
  Claimed suspected;
  suspected.take(suspected.controller().on_suspicion(suspected.now, NodeId(2), nth_run(10)));
  suspected.apply_all();
  CHECK(suspected.claim(Claimed::claimant(11, 9, Claimed::kElsewhere)) == ControllerError::busy);
  CHECK(suspected.claim(Claimed::claimant(11, 1, Claimed::kElsewhere)) == ControllerError::none);
  // It was heard since: whatever refused there was not its host.
  Claimed t;
  CHECK(t.claim(Claimed::claimant(11, 1, Claimed::kElsewhere)) == ControllerError::busy);
  t.answer({}, Errc::refused);
  t.beat(2);
  CHECK(t.claim(Claimed::claimant(11, 1, Claimed::kElsewhere)) == ControllerError::busy);
}

TEST_CASE("given two copies of one directory, when both run under one counter, then the second is never taken for the first") {
  Claimed t;
  RegisterBroker copy = Claimed::claimant(10, 1, Claimed::kElsewhere);
  copy.run.nonce = 99;
  CHECK(t.claim(copy) == ControllerError::claimed);
  t.pass(1h);
  t.take(t.controller().on_deadline(t.now));
  t.apply_all();
  CHECK(t.broker(2).fenced);
  CHECK(t.claim(copy) == ControllerError::claimed);  // it may lack what the first one acknowledged
  CHECK(t.message.find("adopted") != std::string::npos);
}

TEST_CASE("given an empty twin that was registered, when the directory with the last copy comes back, then the twin gives way at once") {
  Claimed t;
  for (int node : {3, 1}) {
    t.take(t.controller().on_suspicion(t.now, NodeId(node), nth_run(10)));
    t.apply_all();
  }
  t.boot(2, 1, 9);
  CHECK(t.p().isr == copies({2}));
  CHECK(!t.p().online());
  t.beat(2);
  CHECK(t.claim(Claimed::claimant(11, 1, Claimed::kElsewhere)) == ControllerError::none);
  CHECK(t.inquiries.empty());
  t.apply_all();
  t.beat(2);
  t.apply_all();
  CHECK(t.p().leader == NodeId(2));
}

TEST_CASE("given a claimant that is being registered, when a second one comes, then it waits to see what becomes of the first") {
  Claimed t;
  CHECK(t.claim(Claimed::claimant(1, 9, Claimed::kHome)) == ControllerError::busy);
  t.answer(nth_run(1, 9));
  uint64_t first = t.request(2, Claimed::claimant(1, 9, Claimed::kHome));
  uint64_t second = t.request(2, Claimed::claimant(1, 8, Claimed::kElsewhere));
  CHECK(t.reply(second).error == ControllerError::busy);
  t.apply_all();
  CHECK(t.reply(first).error == ControllerError::none);
  CHECK(t.claim(Claimed::claimant(1, 8, Claimed::kElsewhere)) == ControllerError::busy);
  t.answer(nth_run(1, 9));
  CHECK(t.claim(Claimed::claimant(1, 8, Claimed::kElsewhere)) == ControllerError::claimed);
}

TEST_CASE("given a twin's traffic, when it is all that is heard, then it neither keeps the node alive nor ends it before its time") {
  Claimed t;
  t.take(t.controller().on_alive(t.now, NodeId(2), nth_run(1, 9)));
  t.take(t.controller().on_suspicion(t.now, NodeId(2), nth_run(1, 9)));
  CHECK(t.proposed.empty());
  CHECK(t.controller().deadline() >= t.now + 2s);  // no grace began
  t.pass(2900ms);
  t.take(t.controller().on_alive(t.now, NodeId(2), nth_run(1, 9)));
  t.beat_all({1, 3});
  t.pass(200ms);
  t.take(t.controller().on_deadline(t.now));
  t.apply_all();
  CHECK(t.broker(2).fenced);
}

TEST_CASE("given a new controller, when a claimant asks it first, then the registered one has a session from the controller's start") {
  Claimed t;
  t.pass(1h);
  t.fail_over(3);
  CHECK(t.claim(Claimed::claimant(1, 9, Claimed::kElsewhere)) == ControllerError::busy);
  t.answer({});
  CHECK(t.claim(Claimed::claimant(1, 9, Claimed::kElsewhere)) == ControllerError::claimed);
  t.answer({});
  t.pass(2990ms);
  t.beat_all({1, 3});
  CHECK(t.claim(Claimed::claimant(1, 9, Claimed::kElsewhere)) == ControllerError::claimed);
}

TEST_CASE("given an inquiry, when its answer comes late, then it speaks of the run that was asked for and of no other") {
  Claimed t;
  CHECK(t.claim(Claimed::claimant(1, 9, Claimed::kElsewhere)) == ControllerError::busy);
  t.request(2, Replayed::registration(2, 11));
  t.apply_all();
  REQUIRE(t.inquiries.size() == 1);
  t.answer(nth_run(1, 9));
  CHECK(t.claim(Claimed::claimant(1, 9, Claimed::kElsewhere)) == ControllerError::busy);
  CHECK(t.broker(2).run == nth_run(11));
}

}  // namespace
}  // namespace sg::metadata
