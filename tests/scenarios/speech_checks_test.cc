// E25 and E26: what a node may still say, told with one thing wrong and without it. Node 1 leads orders-0 in epoch 0; a session is 2 s.
#include "scenarios/checks/speech_checks.h"

#include <doctest/doctest.h>

#include "tests/scenarios/fixture.h"

using namespace sg;
using namespace sg::scenario;
using namespace sg::scenario::testing;

namespace {

constexpr Time at_ms(int64_t ms) { return Time{ms * 1'000'000}; }
constexpr NodeId kOne{1};
Run run_of(int32_t node) { return sg::test::nth_run(1, static_cast<uint64_t>(node)); }

struct Story : Bench {
  Story() {
    make_topic(1);
    for (int32_t i = 1; i <= 3; ++i) speech.on_run(at_ms(0), NodeId(i), NodeId(i), run_of(i));
    for (int32_t i = 1; i <= 3; ++i) {
      metadata::RegisterBroker r;
      r.node = NodeId(i);
      r.run = run_of(i);
      speech.on_catalogue_changed(LogIndex(catalogue_index), r);
    }
    applied(at_ms(0));
    beat(1, at_ms(1000));
  }
  // Node 1 sends a heartbeat, which the controller answers, or not.
  void beat(uint64_t sequence, Time now, bool answered = true) {
    speech.on_heartbeat(now, kOne, {.node = kOne, .run = run_of(1), .applied = {}, .sequence = sequence});
    if (answered) answer(sequence, 0ms);
  }
  void answer(uint64_t sequence, Duration age) {
    speech.on_heartbeat_reply(kOne, {.to = kOne, .run = run_of(1), .sequence = sequence, .since = {}, .age_ns = age.count()});
  }
  // Node 1 has applied all that is committed.
  void applied(Time now, bool is_controller = false) { speech.on_seen(now, kOne, LogIndex(catalogue_index), is_controller); }
  void change(const metadata::Record& r) {
    record(r);
    speech.on_catalogue_changed(LogIndex(catalogue_index), r);
  }
  std::string says(Time now, Answer answer, Time running_since = Time{0}) {
    answer.stream = kOrders;
    speech.on_answer(now, kOne, answer, running_since, "orders-0");
    return all_found();
  }
  SpeechChecks speech{ledgers, ghost, judge, {.election_max = 1s, .session_timeout = 2s}};
};

Answer produced(int16_t acks, kafka::ErrorCode error = kafka::ErrorCode::none, Time asked = at_ms(4000)) {
  return {.kind = Answer::Kind::produced, .error = error, .asked = asked, .acks = acks};
}
Answer fetched(int32_t named_epoch, bool has_records) {
  return {.kind = Answer::Kind::fetched, .asked = at_ms(4000), .named_epoch = LeaderEpoch(named_epoch), .has_records = has_records};
}

// Node 1 was heard last by a heartbeat of 1 s: it is silent from 3 s on.
std::string in_silence(const Answer& answer, bool broken) { return Story().says(at_ms(broken ? 4000 : 2500), answer); }

}  // namespace

TEST_CASE("speech: without a controller for a session, acks=all and committed records of the very epoch may be said") {
  CHECK(Story().says(at_ms(4000), produced(-1)) == "");
  CHECK(Story().says(at_ms(4000), fetched(0, true)) == "");
  CHECK(Story().says(at_ms(4000), produced(1, kafka::ErrorCode::not_leader_or_follower)) == "");
  Story s;
  s.says(at_ms(2500), produced(-1));
  CHECK(s.speech.judged_in_silence() == 0);
  s.says(at_ms(4000), produced(-1));
  CHECK(s.speech.judged_in_silence() == 1);
}

TEST_CASE("speech: only a heartbeat that was answered, and counts from its sending, is contact with a controller") {
  Story s;
  s.beat(2, at_ms(3500), false);
  CHECK(s.says(at_ms(4000), produced(1)) == "E25");
  Story t;
  t.beat(2, at_ms(3500), true);
  CHECK(t.says(at_ms(4000), produced(1)) == "");
}

TEST_CASE("speech: an answer is worth what it was worth when a majority last answered the controller") {
  Story s;
  s.beat(2, at_ms(3500), false);
  s.answer(2, 1s);
  CHECK(s.says(at_ms(4600), produced(1)) == "");
  CHECK(s.says(at_ms(4800), produced(1)) == "E25");
}

TEST_CASE("speech: a controller hears itself as long as it is one") {
  Story s;
  s.applied(at_ms(3000), true);
  CHECK(s.says(at_ms(5000), produced(1)) == "");
  CHECK(s.says(at_ms(5200), produced(1)) == "E25");
}

TEST_CASE("speech: an answer may have been made before it was the first of its connection, and not before it was asked for") {
  auto says = [](Time asked, Time first) {
    Story s;
    s.change(metadata::FenceBroker{kOne, s.ghost.catalogue.broker(kOne)->epoch});
    s.applied(at_ms(1100));
    return s.says(at_ms(1800), {.kind = Answer::Kind::produced, .asked = asked, .first = first});
  };
  CHECK(says(at_ms(1090), at_ms(1790)) == "");
  CHECK(says(at_ms(1090), at_ms(1690)) == "E25");
  CHECK(says(at_ms(1110), at_ms(1790)) == "E25");
}

TEST_CASE("speech: a node that stood still owes its answers from when it goes on") {
  CHECK(Story().says(at_ms(9000), produced(-1, kafka::ErrorCode::not_leader_or_follower, at_ms(2000)), at_ms(7600)) == "");
  CHECK(Story().says(at_ms(9000), produced(-1, kafka::ErrorCode::not_leader_or_follower, at_ms(2000))) == "E25");
}

namespace {

const AddPairs kSpeechPairs({
    {"E25", "acks=1 is accepted without a controller", [](bool broken) { return in_silence(produced(1), broken); }},
    {"E25", "an offset is told without a controller", [](bool broken) { return in_silence({.kind = Answer::Kind::offsets}, broken); }},
    {"E25", "a leader without a controller names itself",
     [](bool broken) { return in_silence({.kind = Answer::Kind::claimed, .asked = at_ms(3990)}, broken); }},
    {"E25", "an empty success without a controller", [](bool broken) { return Story().says(at_ms(4000), fetched(0, !broken)); }},
    {"E25", "records without a controller, for who does not name the epoch",
     [](bool broken) { return Story().says(at_ms(4000), fetched(broken ? -1 : 0, true)); }},
    {"E25", "OFFSET_OUT_OF_RANGE without a controller",
     [](bool broken) {
       Answer a = fetched(0, false);
       a.error = broken ? kafka::ErrorCode::offset_out_of_range : kafka::ErrorCode::not_leader_or_follower;
       return Story().says(at_ms(4000), a);
     }},
    {"E25", "a diverging epoch without a controller",
     [](bool broken) {
       Answer a = fetched(0, true);
       a.diverging = broken;
       return Story().says(at_ms(4000), a);
     }},
    {"E25", "acks=all is held for longer than a second without a controller",
     [](bool broken) { return Story().says(at_ms(broken ? 5800 : 5400), produced(-1, kafka::ErrorCode::request_timed_out, at_ms(4000))); }},
    {"E25", "a Fetch that waits is not woken when the controller falls silent",
     [](bool broken) {
       Answer a = fetched(0, false);
       a.error = kafka::ErrorCode::not_leader_or_follower;
       a.asked = at_ms(2600);
       return Story().says(at_ms(broken ? 3200 : 3050), a);
     }},
    {"E25", "an answer of a leader that has applied who came after it",
     [](bool broken) {
       Story s;
       const metadata::Record fenced = metadata::FenceBroker{kOne, s.ghost.catalogue.broker(kOne)->epoch};
       const LogIndex before(s.catalogue_index);
       s.change(fenced);
       s.speech.on_seen(at_ms(1100), kOne, broken ? LogIndex(s.catalogue_index) : before, false);
       return s.says(at_ms(1300), produced(-1));
     }},
    {"E25", "Metadata of a leader that had applied who came after it when it was asked",
     [](bool broken) {
       Story s;
       s.change(metadata::FenceBroker{kOne, s.ghost.catalogue.broker(kOne)->epoch});
       s.applied(at_ms(1100));
       return s.says(at_ms(1300), {.kind = Answer::Kind::claimed, .asked = at_ms(broken ? 1110 : 1090)});
     }},
    {"E25", "an answer to a request that names an epoch which the node has never led",
     [](bool broken) { return Story().says(at_ms(1500), fetched(broken ? 1 : 0, true)); }},
    {"E26", "an acknowledgement of a run that was never registered",
     [](bool broken) {
       Story s;
       if (broken) {
         s.speech.on_died(kOne);
         s.speech.on_run(at_ms(1200), kOne, kOne, sg::test::nth_run(2, 1));
       }
       s.speech.on_promise(kOne, "an acknowledgement to a leader", kOrders);
       return s.all_found();
     }},
    {"E25", "a partition is denied that its node had heard of before it was asked",
     [](bool broken) {
       Story s;
       s.applied(at_ms(1100));
       s.speech.on_denied(kOne, at_ms(2000), "orders-0", broken ? std::optional(kOrders) : std::nullopt);
       return s.all_found();
     }},
    {"E25", "a partition is denied by a node that knows that it is fenced",
     [](bool broken) {
       Story s;
       if (broken) s.change(metadata::FenceBroker{kOne, s.ghost.catalogue.broker(kOne)->epoch});
       s.applied(at_ms(1100));
       s.speech.on_denied(kOne, at_ms(2000), "orders-0", std::nullopt);
       return s.all_found();
     }},
    {"E26", "a partition is denied by a process that has not even said who it is",
     [](bool broken) {
       Story s;
       if (broken) s.speech.on_died(kOne);
       s.speech.on_denied(kOne, at_ms(2000), "orders-0", std::nullopt);
       return s.all_found();
     }},
    {"E26", "a client is told of the cluster by a process that has not even said who it is",
     [](bool broken) {
       Story s;
       if (broken) s.speech.on_died(kOne);
       s.speech.on_told(kOne);
       return s.all_found();
     }},
    {"E26", "a high watermark of a process that has not even said who it is",
     [](bool broken) {
       Story s;
       if (broken) s.speech.on_died(kOne);
       s.speech.on_promise(kOne, "a high watermark to a consumer", kOrders);
       return s.all_found();
     }},
});

}  // namespace
