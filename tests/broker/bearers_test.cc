// Who bears a node's id at another node: each rule of bearers.h, as a timeline.
#include "broker/peer/bearers.h"

#include <doctest/doctest.h>

#include <set>

#include "tests/base/nth_run.h"
#include "tests/metadata/fixture.h"

using namespace sg;
using namespace sg::broker::peer;
using sg::metadata::Replayed;
using sg::test::nth_run;

namespace {

constexpr Duration kSession = 3s;
const net::Address kHome{"127.0.0.1", 9194};  // of node 2, as the fixture registers it
const net::Address kElsewhere{"10.0.0.9", 9192};

VoterId voter_of(const Run& run) { return VoterId(run.directory.low); }

// Node 2 is registered as run 5 of its first directory, and holds a copy of a partition there.
struct Timeline {
  explicit Timeline(bool with_topic = true) {
    log.bring_up(2, 5);
    log.bring_up(1);
    if (with_topic) log.create("t", metadata::nodes({2, 1}));
  }
  bool greeted(Run run, const net::Address& address = kHome) {
    return bearers.greeted(now, {NodeId(2), run, voter_of(run), address}).has_value();
  }
  bool answered(Run run, const net::Address& address = kHome) {
    return bearers.answered(now, {NodeId(2), run, voter_of(run), address}).has_value();
  }
  Run bearer() const { return bearers.of(NodeId(2)); }

  Time now{1'000'000'000};
  Replayed log;
  std::set<VoterId> voters;
  Bearers bearers{log.catalogue(), [this](NodeId, VoterId voter) { return voters.contains(voter); }, kSession, 1s};
};

const Run kFirst = nth_run(5);
const Run kRestart = nth_run(6);
const Run kTwin = nth_run(1, 9);

}  // namespace

TEST_CASE("given a node of which nothing is known, when a process greets, then it is taken for it, and a second one is not") {
  Timeline t;
  CHECK(t.bearers.greeted(t.now, {NodeId(7), kTwin, voter_of(kTwin), kElsewhere}));
  CHECK(!t.bearers.greeted(t.now, {NodeId(7), nth_run(1, 8), voter_of(nth_run(1, 8)), kHome}));
  CHECK(t.bearers.of(NodeId(7)) == kTwin);
}

TEST_CASE("given a living node, when a twin greets, then it is refused with the same line each time, and changes nothing") {
  Timeline t;
  CHECK(t.greeted(kFirst));
  t.bearers.link_opened(NodeId(2), kFirst);
  std::string line;
  for (int i = 0; i < 20; ++i) {
    t.now = t.now + 1s;  // no message between these two for longer than a session: the link alone shows that it is there
    Result<> twin = t.bearers.greeted(t.now, {NodeId(2), kTwin, voter_of(kTwin), kElsewhere});
    REQUIRE(twin.is(Errc::invalid));
    CHECK((line.empty() || line == twin.error().what));
    line = twin.error().what;
  }
  for (const char* part : {"node 2", "127.0.0.1:9194", "10.0.0.9:9192", "stop whichever"}) CHECK(line.find(part) != std::string::npos);
  CHECK(t.bearer() == kFirst);
  CHECK(t.bearers.heard(t.now, NodeId(2), kFirst));
  CHECK(!t.bearers.heard(t.now, NodeId(2), kTwin));
}

TEST_CASE("given a living node, when it restarts at its address, then it is taken at once, and its earlier run is not heard any more") {
  Timeline t;
  CHECK(t.greeted(kFirst));
  t.bearers.link_opened(NodeId(2), kFirst);
  CHECK(t.greeted(kRestart));
  CHECK(!t.bearers.heard(t.now, NodeId(2), kFirst));
  CHECK(!t.greeted(kFirst));
  CHECK(!t.answered(kFirst));
}

TEST_CASE("given a living node, when a copy of its directory is started elsewhere, then it is a twin, whatever its counter") {
  Timeline t;
  CHECK(t.greeted(kFirst));
  CHECK(!t.greeted(kRestart, kElsewhere));
  CHECK(!t.greeted(Run{kFirst.directory, kFirst.counter, 77}, kElsewhere));
  CHECK(t.bearer() == kFirst);
}

TEST_CASE("given a node that moved, when nobody listens at its old address and no link to it stands, then its next run is taken at once") {
  Timeline t;
  CHECK(t.greeted(kFirst));
  t.bearers.link_opened(NodeId(2), kFirst);
  t.bearers.nobody_at(NodeId(2), kHome);
  CHECK(!t.greeted(kRestart, kElsewhere));  // it has a link
  t.bearers.link_closed(NodeId(2), kFirst);
  t.bearers.nobody_at(NodeId(2), kElsewhere);
  CHECK(!t.greeted(kRestart, kElsewhere));
  t.bearers.nobody_at(NodeId(2), kHome);
  CHECK(!t.greeted(kTwin, kElsewhere));  // another directory has to wait
  SUBCASE("then it is heard") {
    CHECK(t.bearers.heard(t.now, NodeId(2), kFirst));
    CHECK(!t.greeted(kRestart, kElsewhere));
  }
  SUBCASE("then it is not") { CHECK(t.greeted(kRestart, kElsewhere)); }
}

TEST_CASE("given a node that was silent, when a session has passed since the last sign and its links are gone, then another may come") {
  Timeline t;
  CHECK(t.greeted(kFirst));
  t.bearers.link_opened(NodeId(2), kFirst);
  t.now = t.now + kSession;
  CHECK(!t.greeted(kTwin, kElsewhere));
  t.bearers.link_closed(NodeId(2), kFirst);
  CHECK(t.greeted(kTwin, kElsewhere));
  CHECK(t.bearer() == kTwin);
}

TEST_CASE("given a node known from the catalogue alone, when a twin comes first after this node's start, then the node has a session") {
  Timeline t;
  t.now = t.now + 100s;
  CHECK(!t.greeted(kTwin));
  t.now = t.now + kSession - 1ms;
  SUBCASE("it comes") {
    CHECK(t.greeted(kFirst));
    t.now = t.now + 1ms;
    CHECK(!t.greeted(kTwin));
  }
  SUBCASE("it does not") {
    t.now = t.now + 1ms;
    CHECK(t.greeted(kTwin));
  }
}

TEST_CASE("given a node known from the catalogue alone, when it moved, then its next run waits for as long as a link may be silent") {
  Timeline t;
  CHECK(!t.greeted(kRestart, kElsewhere));
  t.now = t.now + 1s - 1ms;
  CHECK(!t.greeted(kRestart, kElsewhere));
  SUBCASE("the first is heard meanwhile") {
    CHECK(t.greeted(kFirst));
    t.now = t.now + 1s;
    CHECK(!t.greeted(kRestart, kElsewhere));
  }
  SUBCASE("it is not") {
    t.now = t.now + 1ms;
    CHECK(!t.greeted(kTwin, kElsewhere));
    CHECK(t.greeted(kRestart, kElsewhere));
  }
}

TEST_CASE("given another directory in the node's place, when an earlier run of the registered one comes, then it is refused all the same") {
  Timeline t;
  CHECK(t.greeted(kFirst));
  t.bearers.suspect(NodeId(2), kFirst);
  CHECK(t.greeted(kTwin));
  t.bearers.suspect(NodeId(2), kTwin);
  CHECK(!t.greeted(nth_run(4)));
  CHECK(t.greeted(kRestart));
}

TEST_CASE("given a run that is registered and has not greeted yet, when a greeting of the one before it arrives late, then it is refused") {
  Timeline t;
  CHECK(t.greeted(kFirst));
  t.log.fence(2);
  t.log.bring_up(2, 6);
  CHECK(!t.greeted(kFirst));
  CHECK(t.greeted(kRestart));
}

TEST_CASE("given a process that greeted first and is not registered, when another answers where the node is looked for, then that is it") {
  Timeline t;
  const net::Address spare{"10.0.0.7", 9192};
  const Run twin = nth_run(1, 8);
  CHECK(t.bearers.greeted(t.now, {NodeId(7), twin, voter_of(twin), spare}));
  CHECK(!t.bearers.greeted(t.now, {NodeId(7), kTwin, voter_of(kTwin), kElsewhere}));
  CHECK(t.bearers.answered(t.now, {NodeId(7), kTwin, voter_of(kTwin), kElsewhere}));
  CHECK(!t.bearers.greeted(t.now, {NodeId(7), twin, voter_of(twin), spare}));
  CHECK(!t.bearers.answered(t.now, {NodeId(7), twin, voter_of(twin), spare}));  // who was found is not looked for any more

  CHECK(t.greeted(kFirst));  // registered
  CHECK(!t.answered(kTwin, kElsewhere));
}

TEST_CASE("given a suspicion, when it is of the bearer, then another may come at once, unless the bearer was heard since") {
  Timeline t;
  CHECK(t.greeted(kFirst));
  t.bearers.suspect(NodeId(2), nth_run(4));
  CHECK(!t.greeted(kTwin));
  t.bearers.suspect(NodeId(2), kFirst);
  SUBCASE("gone") { CHECK(t.greeted(kTwin)); }
  SUBCASE("heard since") {
    CHECK(t.bearers.heard(t.now, NodeId(2), kFirst));
    CHECK(!t.greeted(kTwin));
  }
}

TEST_CASE("given a replaced disk, when the new process answers at the node's address, then the old one is gone: a port has one owner") {
  Timeline t;
  CHECK(t.greeted(kFirst));
  t.bearers.link_opened(NodeId(2), kFirst);  // half open: nobody has told this node yet
  CHECK(!t.greeted(kTwin));                  // anybody can say that it is there
  CHECK(!t.answered(kTwin, kElsewhere));     // and this node may have been told to look elsewhere
  CHECK(t.answered(kTwin));
  CHECK(t.greeted(kTwin));
  CHECK(!t.bearers.heard(t.now, NodeId(2), kFirst));
  t.bearers.link_closed(NodeId(2), kFirst);
}

TEST_CASE("given a controller that let another directory in, when its process greets, then it is the node, and the other one is not") {
  Timeline t;
  CHECK(t.greeted(kFirst));
  t.log.must(Replayed::registration(2, 1, 9));
  CHECK(t.greeted(kTwin));
  CHECK(!t.greeted(kFirst));
  CHECK(t.bearer() == kTwin);
}

TEST_CASE("given a registered twin without a copy, when the directory with the last copy comes back, then the twin gives way at once") {
  for (bool with_topic : {false, true}) {
    Timeline t(with_topic);
    if (with_topic) t.log.fence(1);
    t.log.must(Replayed::registration(2, 1, 9));
    CHECK(t.greeted(kTwin));
    CHECK(t.greeted(kRestart, kElsewhere) == with_topic);
  }
}
