#include "scenarios/workloads/odd_requests.h"

#include <algorithm>
#include <map>

#include "broker/kafka/api_versions.h"
#include "broker/kafka/create_topics.h"
#include "broker/kafka/delete_topics.h"
#include "broker/kafka/find_coordinator.h"
#include "broker/kafka/init_producer_id.h"
#include "broker/kafka/record.h"
#include "scenarios/client/broker_connection.h"
#include "scenarios/client/certainty.h"
#include "scenarios/observe/by_partition.h"
#include "scenarios/toml_table.h"
#include "scenarios/workloads/notes.h"
#include "scenarios/workloads/odd_batches.h"

namespace sg::scenario {
namespace {

using kafka::ApiKey;
using kafka::ErrorCode;
using kafka::ListOffsetsRequest;

constexpr Duration kConnectTimeout = 500ms;
constexpr Duration kAnswerTimeout = 4s;
// A fault may end a connection as soon as something is asked on it, but not five in a row.
constexpr int kTries = 5;
constexpr Duration kAtOnce = 200ms;

using Texts = std::vector<std::string>;
const std::string kCloses = "the end of the connection";
const std::string kNothing = "nothing";

Texts operator+(Texts a, const Texts& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
Texts codes(std::initializer_list<ErrorCode> list) {
  Texts out;
  for (ErrorCode code : list) out.push_back(kafka::to_string(code));
  return out;
}

// Who does not lead, has not heard of a topic yet or has lost records says no more than that, whatever the question.
const Texts kElsewhere = codes({ErrorCode::not_leader_or_follower, ErrorCode::unknown_topic_or_partition, ErrorCode::kafka_storage_error});
const Texts kNowhere = codes({ErrorCode::unknown_topic_or_partition, ErrorCode::not_leader_or_follower});
const Texts kNoController = codes({ErrorCode::request_timed_out, ErrorCode::not_controller});

// --- Questions -----------------------------------------------------------------------------------------------------------------------

// Of one partition in a request, or of the request as a whole.
struct Question {
  std::string what;
  PartitionName at{};
  Texts permitted{};
  std::optional<size_t> send{};  // its batch, in the history
  SharedBytes batch{};
  bool sound = false;  // the batch may be taken
};

class Asker {
 public:
  Asker(ClientEnv& env, const ClientPart& part, const OddRequestsOptions& options)
      : env_(env),
        part_(part),
        options_(options),
        rng_(env.rng.split("odd requests")),
        versions_(env.rng),
        name_(fmt::format("odd-{}", part.client)),
        tasks_(env.scheduler),
        connections_(env.bootstrap.size()) {}

  void run(Task& task) {
    using Ask = void (Asker::*)(Task&);
    static constexpr Ask kAsks[] = {&Asker::flawed_batch, &Asker::flawed_batch, &Asker::odd_produce, &Asker::odd_fetch,
                                    &Asker::odd_fetch,    &Asker::odd_offsets,  &Asker::old_offsets, &Asker::odd_metadata,
                                    &Asker::old_metadata, &Asker::unserved,     &Asker::odd_topics,  &Asker::transactions};
    while (part_.control.running && part_.control.writing && !task.stopping()) {
      if (!task.sleep_for(options_.every.draw(rng_, 1us))) break;
      broker_ = rng_.below(connections_.size());
      (this->*kAsks[rng_.below(std::size(kAsks))])(task);
    }
    for (const auto& c : connections_)
      if (c) c->close();
    tasks_.stop();
    tasks_.join(task);
  }

 private:
  // --- Asking, and writing down ------------------------------------------------------------------------------------------------------

  void note(const Question& q, std::string got) {
    part_.history.odd_answers.push_back(
        {part_.client, q.at, to_string(env_.bootstrap[broker_]), q.what, q.permitted, std::move(got), env_.clock.now()});
  }

  Result<std::shared_ptr<BrokerConnection>> connection(Task& task) {
    auto& c = connections_[broker_];
    if (!c || c->broken()) {
      TRY(c, BrokerConnection::open(task, env_.network, tasks_, env_.bootstrap[broker_], name_, task.now() + kConnectTimeout, versions_));
    }
    return c;
  }

  // Errc::reset: the broker has ended each connection at once. Any other error: nobody knows what it makes of the question.
  Result<SharedBytes> ask(Task& task, ApiKey key, int16_t version, const SharedBytes& body, int tries) {
    while (true) {
      auto to = connection(task);
      if (!to) return fail(Errc::unavailable);
      const Time begun = task.now();
      auto answer = (*to)->ask(task, key, version, body, begun + kAnswerTimeout);
      if (answer) return answer;
      (*to)->close();
      if (!answer.is(Errc::reset) || task.now() - begun > kAtOnce) return fail(Errc::unavailable);
      if (--tries == 0) return answer;
    }
  }

  // Null if nothing was heard that can be read; what that means for the question is noted.
  template <class Request>
  std::optional<typename Request::Response> put(Task& task, int16_t version, const Request& request, const Question& q,
                                                int tries = kTries) {
    kafka::Gather body;
    kafka::encode(body, version, request);
    auto frame = ask(task, Request::kApiKey, version, SharedBytes::copy_of(body.flatten()), tries);
    if (frame.is(Errc::reset) && tries == kTries) note(q, kCloses);
    if (!frame) return std::nullopt;
    auto header = kafka::decode_response_header(Request::kApiKey, version, *frame);
    auto response =
        header ? kafka::decode<typename Request::Response>(version, header->body) : Result<typename Request::Response>(fail(Errc::invalid));
    if (response) return std::move(*response);
    note(q, "what nobody can read");
    return std::nullopt;
  }

  // The answer has one part for each question, in their order.
  template <class Response, class Says>
  void note_each(const std::vector<Question>& asked, const Response& response, Says&& says) {
    size_t n = 0;
    bool same = true;
    for_each_partition(response, [&](std::string_view topic, const auto& p) {
      same = same && n < asked.size() && asked[n].at.topic == topic && asked[n].at.partition == index_of(p);
      if (same) note(asked[n], says(p));
      ++n;
    });
    if (asked.empty())
      return note({kafka::to_string(Response::kApiKey) + " of no partition", {}, {kNothing}}, n == 0 ? kNothing : "something");
    if (!same || n < asked.size()) note(asked.front(), "an answer about others");
  }

  int16_t any_version(ApiKey key, int16_t lowest = 0, int16_t highest = INT16_MAX) {
    const kafka::VersionRange& served = kafka::find_api(key)->served;
    return static_cast<int16_t>(rng_.between(std::max(lowest, served.min), std::min(highest, served.max)));
  }
  const PartitionName& any_partition() { return part_.partitions[rng_.below(part_.partitions.size())]; }

  // One that does not exist.
  PartitionName no_partition() {
    PartitionName p = any_partition();
    switch (rng_.below(6)) {
      case 0: p.partition = 99; break;
      case 1: p.partition = -1; break;
      case 2: p.partition = rng_.chance(1, 2) ? INT32_MAX : INT32_MIN; break;
      case 3: p.topic = "nowhere"; break;
      case 4: p.topic = ""; break;
      default: p.topic = std::string(300, 'x'); break;
    }
    return p;
  }

  // Questions about what does not exist, about nothing, or twice about one partition: of every API the same.
  template <class MakeSound>
  std::vector<Question> shape(std::string_view api, MakeSound&& sound) {
    const uint64_t kind = rng_.below(4);
    if (kind == 0) return {};
    if (kind == 1) return {{.what = fmt::format("{} about nowhere", api), .at = no_partition(), .permitted = kNowhere}, sound()};
    if (kind == 2) return {sound(), {.what = fmt::format("{} about nowhere", api), .at = no_partition(), .permitted = kNowhere}};
    std::vector<Question> out{sound(), sound()};
    out[1].at = out[0].at;
    return out;
  }

  // The topic of the questions one behind the other, each topic once or a topic for each question.
  template <class Topics, class Add>
  void fill(Topics& topics, const std::vector<Question>& asked, Add&& add) {
    const bool joined = rng_.chance(1, 2);
    for (const Question& q : asked) {
      if (topics.empty() || !joined || name_of(topics.back()) != q.at.topic) add(topics.emplace_back(), q, true);
      add(topics.back(), q, false);
    }
  }

  // --- Produce -----------------------------------------------------------------------------------------------------------------------

  // A question that carries a batch: nobody may take it, unless it is sound.
  Question with_batch(std::string what, PartitionName at, int16_t acks, Texts permitted, bool sound, const Flaw* flaw = nullptr) {
    const ValueId id{part_.client, number_++};
    ByteVec bytes = one_record_batch(id, flaw ? flaw->value_bytes : kUsualValue, env_.clock.wall_ms());
    if (flaw) flaw->spoil(bytes);
    const size_t send = note_send(id, at, acks, false, part_.history);
    Send& s = part_.history.sends[send];
    s.on_trial = true;
    s.first_attempt = env_.clock.now();
    if (!sound) s.outcome = Outcome::failed;
    return {std::move(what), std::move(at), std::move(permitted), send, SharedBytes::copy_of(bytes), sound};
  }

  kafka::ProduceRequest produce_request(int16_t acks, const std::vector<Question>& asked) {
    kafka::ProduceRequest request;
    request.acks = acks;
    request.timeout_ms = static_cast<int32_t>(rng_.log_between(200, 3000));
    fill(request.topic_data, asked, [](auto& topic, const Question& q, bool fresh) {
      if (fresh)
        topic.name = q.at.topic;
      else
        topic.partition_data.push_back({.index = q.at.partition, .records = q.batch});
    });
    return request;
  }

  void produce(Task& task, int16_t version, const kafka::ProduceRequest& request, const std::vector<Question>& asked) {
    const bool any_sound = std::ranges::any_of(asked, &Question::sound);
    if (request.acks == 0) {
      produce_in_silence(task, version, request, asked);
    } else if (auto response = put(task, version, request, asked.empty() ? Question{.what = "Produce of nothing"} : asked.front(),
                                   any_sound ? 1 : kTries)) {
      size_t n = 0;
      note_each(asked, *response, [&](const auto& p) {
        const Question& q = asked[n++];
        Send& s = part_.history.sends[*q.send];
        if (q.sound && p.error_code == ErrorCode::none) {
          s.outcome = Outcome::ok;
          s.offset = p.base_offset;
        } else if (says_not_appended(p.error_code)) {
          s.outcome = Outcome::failed;
        }
        return kafka::to_string(p.error_code);
      });
    }
    for (const Question& q : asked) {
      part_.history.sends[*q.send].attempts = 1;
      part_.history.sends[*q.send].completed = task.now();
    }
  }

  // Nobody is answered: the connection ends, and what came behind it is not answered either.
  void produce_in_silence(Task& task, int16_t version, const kafka::ProduceRequest& request, const std::vector<Question>& asked) {
    auto to = connection(task);
    if (!to) return;
    const Time begun = task.now();
    (void)(*to)->send_only(version, request);
    auto next = (*to)->call(task, 0, kafka::ApiVersionsRequest{}, begun + kAnswerTimeout);
    const bool at_once = task.now() - begun <= kAtOnce;
    (*to)->close();
    if (!next && (!next.is(Errc::reset) || !at_once)) return;
    Question q = asked.front();
    q.what += ", acks=0";
    q.permitted = {kCloses};
    note(q, next ? "an answer to the next request" : kCloses);
  }

  void flawed_batch(Task& task) {
    constexpr int16_t kAcks[] = {-1, -1, 1, 1, 0};
    const int16_t acks = kAcks[rng_.below(std::size(kAcks))];
    const Flaw& flaw = flaws()[rng_.below(flaws().size())];
    const int16_t version = any_version(ApiKey::produce);
    const std::string what = fmt::format("Produce v{} of {}", version, flaw.name);
    const std::vector<Question> asked{with_batch(what, any_partition(), acks, codes({flaw.answer}) + kElsewhere, false, &flaw)};
    produce(task, version, produce_request(acks, asked), asked);
  }

  void odd_produce(Task& task) {
    const int16_t acks = rng_.chance(1, 2) ? 1 : -1;
    switch (rng_.below(4)) {
      case 0: {
        constexpr int16_t kBad[] = {2, -2, 100, INT16_MAX, INT16_MIN};
        const int16_t bad = kBad[rng_.below(std::size(kBad))];
        const int16_t version = any_version(ApiKey::produce);
        const std::vector<Question> asked{with_batch(fmt::format("Produce v{} with acks={}", version, bad), any_partition(), bad,
                                                     codes({ErrorCode::invalid_required_acks}), false)};
        return produce(task, version, produce_request(bad, asked), asked);
      }
      case 1: {
        const int16_t version = any_version(ApiKey::produce);
        const std::vector<Question> asked{with_batch(fmt::format("Produce v{} of a transaction", version), any_partition(), acks,
                                                     codes({ErrorCode::invalid_request}), false)};
        kafka::ProduceRequest request = produce_request(acks, asked);
        request.transactional_id = "odd";
        return produce(task, version, request, asked);
      }
      case 2: {
        const auto version = static_cast<int16_t>(rng_.between(0, kafka::find_api(ApiKey::produce)->served.min - 1));
        const int16_t any_acks = rng_.chance(1, 4) ? 0 : acks;
        const std::vector<Question> asked{
            with_batch(fmt::format("Produce v{}", version), any_partition(), any_acks, codes({ErrorCode::unsupported_version}), false)};
        return produce(task, version, produce_request(any_acks, asked), asked);
      }
      default: {
        const int16_t version = any_version(ApiKey::produce);
        const Texts taken = codes({ErrorCode::none, ErrorCode::not_enough_replicas, ErrorCode::not_enough_replicas_after_append,
                                   ErrorCode::request_timed_out}) +
                            kElsewhere;
        std::vector<Question> asked =
            shape("Produce", [&] { return Question{fmt::format("Produce v{}", version), any_partition(), taken, {}, {}, true}; });
        for (Question& q : asked) q = with_batch(q.what, q.at, acks, q.permitted, q.sound);
        return produce(task, version, produce_request(acks, asked), asked);
      }
    }
  }

  // --- Fetch -------------------------------------------------------------------------------------------------------------------------

  struct Place {
    Offset offset{0};
    LeaderEpoch current = kNoLeaderEpoch;
    LeaderEpoch last = kNoLeaderEpoch;
  };

  void fetch(Task& task, int16_t version, const std::vector<Question>& asked, const Place& place, int32_t session = 0, int32_t epoch = -1) {
    kafka::FetchRequest request;
    request.max_wait_ms = 50;
    request.min_bytes = 1;
    request.max_bytes = 1 << 16;
    request.session_id = session;
    request.session_epoch = epoch;
    fill(request.topics, asked, [&](auto& topic, const Question& q, bool fresh) {
      if (fresh) {
        topic.topic = q.at.topic;
        return;
      }
      kafka::FetchRequest::Partition p;
      p.partition = q.at.partition;
      p.current_leader_epoch = place.current;
      p.fetch_offset = place.offset;
      p.last_fetched_epoch = place.last;
      p.partition_max_bytes = 1 << 12;
      topic.partitions.push_back(p);
    });
    auto response = put(task, version, request, asked.empty() ? Question{.what = "Fetch of nothing"} : asked.front());
    if (!response) return;
    if (session != 0 || epoch > 0)
      return note(asked.front(), response->responses.empty() ? kafka::to_string(response->error_code) : "an answer about its partition");
    note_each(asked, *response, [](const auto& p) -> std::string {
      if (p.records && !p.records->pieces.empty()) return "records";
      if (p.diverging_epoch.end_offset.v >= 0) return "a divergence";
      return p.error_code == ErrorCode::none ? kNothing : kafka::to_string(p.error_code);
    });
  }

  LeaderEpoch epoch_to_come() { return LeaderEpoch(rng_.chance(1, 2) ? INT32_MAX : static_cast<int32_t>(rng_.between(100'000, 200'000))); }
  Offset beyond() { return Offset(rng_.chance(1, 2) ? INT64_MAX : rng_.between(1'000'000'000, 2'000'000'000)); }

  void odd_fetch(Task& task) {
    const PartitionName& at = any_partition();
    switch (rng_.below(7)) {
      case 0: {
        const int16_t version = any_version(ApiKey::fetch, 9);
        const Texts permitted = codes({ErrorCode::unknown_leader_epoch}) + kElsewhere;
        return fetch(task, version, {{fmt::format("Fetch v{} with a leader epoch to come", version), at, permitted}},
                     {.current = epoch_to_come()});
      }
      case 1: {
        const int16_t version = any_version(ApiKey::fetch, 12);
        const Texts permitted = codes({ErrorCode::unknown_leader_epoch}) + kElsewhere;
        return fetch(task, version, {{fmt::format("Fetch v{} behind a record of an epoch to come", version), at, permitted}},
                     {.last = epoch_to_come()});
      }
      case 2: {
        const int16_t version = any_version(ApiKey::fetch, 9);
        const Texts permitted = codes({ErrorCode::fenced_leader_epoch}) + kElsewhere;
        return fetch(task, version, {{fmt::format("Fetch v{} with leader epoch -2", version), at, permitted}},
                     {.current = LeaderEpoch(-2)});
      }
      case 3: {
        // Who has told an end in an epoch knows its log for as long as that lasts. Else it may be new, and not know yet what is committed.
        const int16_t version = any_version(ApiKey::fetch);
        auto told = told_.find({broker_, at});
        const LeaderEpoch epoch = told == told_.end() || version < 9 ? kNoLeaderEpoch : told->second;
        const Texts permitted = codes({ErrorCode::offset_out_of_range}) + kElsewhere +
                                (epoch == kNoLeaderEpoch ? Texts{kNothing} : codes({ErrorCode::fenced_leader_epoch}));
        return fetch(task, version, {{fmt::format("Fetch v{} beyond the end in epoch {}", version, epoch), at, permitted}},
                     {.offset = beyond(), .current = epoch});
      }
      case 4: {
        const int16_t version = any_version(ApiKey::fetch);
        const Texts permitted = codes({ErrorCode::offset_out_of_range}) + kElsewhere;
        return fetch(task, version, {{fmt::format("Fetch v{} from a negative offset", version), at, permitted}},
                     {.offset = Offset(rng_.chance(1, 2) ? INT64_MIN : -1)});
      }
      case 5: {
        const int16_t version = any_version(ApiKey::fetch, 7);
        const bool named = rng_.chance(1, 2);
        return fetch(task, version, {{fmt::format("Fetch v{} of a session", version), at, codes({ErrorCode::fetch_session_id_not_found})}},
                     {}, named ? 4711 : 0, named ? static_cast<int32_t>(rng_.between(-1, 5)) : 3);
      }
      default: {
        const int16_t version = any_version(ApiKey::fetch);
        const Texts any = Texts{"records", kNothing} + kElsewhere;
        return fetch(task, version, shape("Fetch", [&] { return Question{fmt::format("Fetch v{}", version), any_partition(), any}; }), {});
      }
    }
  }

  // --- ListOffsets -------------------------------------------------------------------------------------------------------------------

  std::optional<kafka::ListOffsetsResponse> look_up(Task& task, int16_t version, const std::vector<Question>& asked, int64_t timestamp,
                                                    LeaderEpoch epoch = kNoLeaderEpoch) {
    ListOffsetsRequest request;
    fill(request.topics, asked, [&](auto& topic, const Question& q, bool fresh) {
      if (fresh)
        topic.name = q.at.topic;
      else
        topic.partitions.push_back({.partition_index = q.at.partition, .current_leader_epoch = epoch, .timestamp = timestamp});
    });
    auto response = put(task, version, request, asked.empty() ? Question{.what = "ListOffsets of nothing"} : asked.front());
    if (response)
      note_each(asked, *response, [](const auto& p) -> std::string {
        return p.error_code == ErrorCode::none ? "an offset" : kafka::to_string(p.error_code);
      });
    return response;
  }

  Question any_offset(int16_t version) {
    return {fmt::format("ListOffsets v{}", version), any_partition(),
            Texts{"an offset"} + codes({ErrorCode::offset_not_available}) + kElsewhere};
  }

  void odd_offsets(Task& task) {
    switch (rng_.below(4)) {
      case 0: {
        const int16_t version = any_version(ApiKey::list_offsets, 4);
        const int64_t time = rng_.chance(1, 2) ? ListOffsetsRequest::kLatest : ListOffsetsRequest::kEarliest;
        const LeaderEpoch epoch = epoch_to_come();
        const Texts permitted = codes({ErrorCode::unknown_leader_epoch}) + kElsewhere;
        (void)look_up(task, version, {{fmt::format("ListOffsets v{} with a leader epoch to come", version), any_partition(), permitted}},
                      time, epoch);
        return;
      }
      case 1: {
        const int16_t version = any_version(ApiKey::list_offsets, 4);
        const Texts permitted = codes({ErrorCode::fenced_leader_epoch}) + kElsewhere;
        (void)look_up(task, version, {{fmt::format("ListOffsets v{} with leader epoch -2", version), any_partition(), permitted}},
                      ListOffsetsRequest::kLatest, LeaderEpoch(-2));
        return;
      }
      case 2: {
        constexpr int64_t kUnknown[] = {-6, -100, INT64_MIN};
        constexpr int64_t kLater[] = {ListOffsetsRequest::kMaxTimestamp, ListOffsetsRequest::kEarliestLocal,
                                      ListOffsetsRequest::kLatestTiered};
        const bool later = rng_.chance(1, 2);
        const uint64_t which = rng_.below(3);
        const int16_t version = any_version(ApiKey::list_offsets, 0, later ? 6 : INT16_MAX);
        const int64_t time = later ? kLater[which] : kUnknown[which];
        (void)look_up(
            task, version,
            {{fmt::format("ListOffsets v{} at time {}", version, time), any_partition(), codes({ErrorCode::unsupported_version})}}, time);
        return;
      }
      default: {
        const int16_t version = any_version(ApiKey::list_offsets);
        (void)look_up(task, version, shape("ListOffsets", [&] { return any_offset(version); }), ListOffsetsRequest::kLatest);
        return;
      }
    }
  }

  // As clients from before leader epochs, mostly. What they are told is judged like what others are: H11, E10, E13.
  void old_offsets(Task& task) {
    const int16_t version = rng_.chance(2, 3) ? any_version(ApiKey::list_offsets, 0, 3) : any_version(ApiKey::list_offsets, 4);
    const bool latest = rng_.chance(1, 2);
    const int64_t time = latest ? ListOffsetsRequest::kLatest : env_.clock.wall_ms() - rng_.between(0, 5000);
    const Question q = any_offset(version);
    const Time begun = task.now();
    auto response = look_up(task, version, {q}, time);
    const auto* p = response ? partition_in(*response, q.at.topic, q.at.partition) : nullptr;
    if (!p || p->error_code != ErrorCode::none) return;
    if (!latest) {
      part_.history.time_looks.push_back({part_.client, q.at, time, p->timestamp, p->offset, begun, task.now()});
    } else if (p->leader_epoch != kNoLeaderEpoch) {
      told_[{broker_, q.at}] = p->leader_epoch;
    }
  }

  // --- Metadata ----------------------------------------------------------------------------------------------------------------------

  // The code of each topic, one for each question, in their order.
  void metadata(Task& task, int16_t version, const std::vector<Question>& asked, const Uuid& id = {}) {
    kafka::MetadataRequest request;
    request.allow_auto_topic_creation = false;
    request.topics.emplace();
    for (const Question& q : asked)
      request.topics->push_back({.topic_id = id, .name = id.is_zero() ? std::optional(q.at.topic) : std::nullopt});
    auto response = put(task, version, request, asked.empty() ? Question{.what = "Metadata of nothing"} : asked.front());
    if (!response) return;
    if (asked.empty())
      return note({fmt::format("Metadata v{} of no topic", version), {}, {kNothing}}, response->topics.empty() ? kNothing : "topics");
    for (size_t i = 0; i < asked.size(); ++i) {
      const bool same = response->topics.size() == asked.size() && (!id.is_zero() || response->topics[i].name == asked[i].at.topic);
      note(asked[i], same ? kafka::to_string(response->topics[i].error_code) : "an answer about others");
    }
  }

  const Texts known_ = codes({ErrorCode::none, ErrorCode::leader_not_available, ErrorCode::unknown_topic_or_partition});

  void odd_metadata(Task& task) {
    const int16_t version = any_version(ApiKey::metadata, 4);
    const std::string what = fmt::format("Metadata v{}", version);
    switch (rng_.below(5)) {
      case 0: {
        const Texts names{"", ".", "..", "a/b", std::string(250, 'x')};
        const PartitionName at{names[rng_.below(names.size())], 0};
        return metadata(task, version, {{what + " of an illegal name", at, codes({ErrorCode::invalid_topic_exception})}});
      }
      case 1:
        return metadata(task, version, {{what + " of an unknown topic", {"nowhere", 0}, codes({ErrorCode::unknown_topic_or_partition})}});
      case 2: return metadata(task, 12, {{"Metadata v12 of an unknown id", {}, codes({ErrorCode::unknown_topic_id})}}, Uuid{7, 7});
      case 3: {
        const Question q{what + " of a topic twice", any_partition(), known_};
        return metadata(task, version, {q, q});
      }
      default: return metadata(task, any_version(ApiKey::metadata, 1), {});
    }
  }

  // Asking below version 4 makes a topic that is not there; these are. In version 0 nothing is all.
  void old_metadata(Task& task) {
    const int16_t version = any_version(ApiKey::metadata, 0, 3);
    if (rng_.chance(1, 2)) return metadata(task, version, {{fmt::format("Metadata v{}", version), any_partition(), known_}});
    (void)put(task, version, kafka::MetadataRequest{}, {.what = fmt::format("Metadata v{} of all", version)});
  }

  // --- The rest ----------------------------------------------------------------------------------------------------------------------

  // A body in the nearest version that is served.
  template <class Request>
  void out_of_range(Task& task, const Request& request) {
    const kafka::Api& api = *kafka::find_api(Request::kApiKey);
    const bool below = rng_.chance(1, 3);
    const bool far = rng_.chance(1, 2);
    const int16_t version = below ? (far ? INT16_MIN : static_cast<int16_t>(api.advertised.min - 1))
                                  : (far ? INT16_MAX : static_cast<int16_t>(api.served.max + 1));
    kafka::Gather body;
    kafka::encode(body, below ? api.served.min : api.served.max, request);
    const Question q{fmt::format("{} v{}", api.name, version), {}, {kCloses}};
    ask_in_vain(task, q, Request::kApiKey, version, SharedBytes::copy_of(body.flatten()));
  }

  void ask_in_vain(Task& task, const Question& q, ApiKey key, int16_t version, const SharedBytes& body) {
    auto answer = ask(task, key, version, body, 1);
    if (answer || answer.is(Errc::reset)) note(q, answer ? "an answer" : kCloses);
  }

  void unserved(Task& task) {
    switch (rng_.below(11)) {
      case 0: return out_of_range(task, kafka::ProduceRequest{});
      case 1: return out_of_range(task, kafka::FetchRequest{});
      case 2: return out_of_range(task, ListOffsetsRequest{});
      case 3: return out_of_range(task, kafka::MetadataRequest{});
      case 4: return out_of_range(task, kafka::FindCoordinatorRequest{});
      case 5: return out_of_range(task, kafka::CreateTopicsRequest{});
      case 6: return out_of_range(task, kafka::DeleteTopicsRequest{});
      case 7: return out_of_range(task, kafka::InitProducerIdRequest{});
      case 8: {
        constexpr ApiKey kUnknown[] = {ApiKey::join_group, ApiKey::sasl_handshake, ApiKey::end_txn, static_cast<ApiKey>(4711),
                                       static_cast<ApiKey>(-1)};
        const ApiKey key = kUnknown[rng_.below(std::size(kUnknown))];
        return ask_in_vain(task, {kafka::to_string(key), {}, {kCloses}}, key, 0, SharedBytes());
      }
      case 9: {
        // A body that ends before its time.
        const int16_t version = any_version(ApiKey::fetch);
        kafka::Gather body;
        kafka::encode(body, version, kafka::FetchRequest{});
        const ByteVec bytes = body.flatten();
        const Question q{fmt::format("Fetch v{} that is cut off", version), {}, {kCloses}};
        return ask_in_vain(task, q, ApiKey::fetch, version, SharedBytes::copy_of(ByteSpan(bytes).first(bytes.size() - 1)));
      }
      default: return versions(task);
    }
  }

  // Answered in version 0, with what is served (KIP-511).
  void versions(Task& task) {
    const auto max = kafka::find_api(ApiKey::api_versions)->served.max;
    const int64_t odd[] = {-1, max + 1, rng_.between(max + 2, INT16_MAX)};
    const auto version = static_cast<int16_t>(odd[rng_.below(std::size(odd))]);
    const Question q{fmt::format("ApiVersions v{}", version), {}, codes({ErrorCode::unsupported_version})};
    auto frame = ask(task, ApiKey::api_versions, version, SharedBytes(), kTries);
    if (frame.is(Errc::reset)) note(q, kCloses);
    if (!frame) return;
    auto response = kafka::decode<kafka::ApiVersionsResponse>(0, frame->slice(4));
    if (!response)
      note(q, "what nobody can read");
    else
      note(q, response->api_keys == kafka::advertised_versions() ? kafka::to_string(response->error_code) : "other ranges");
  }

  void transactions(Task& task) {
    const Texts permitted = codes({ErrorCode::coordinator_not_available});
    if (rng_.chance(1, 2)) {
      const int16_t version = any_version(ApiKey::init_producer_id);
      const Question q{fmt::format("InitProducerId v{} of a transaction", version), {}, permitted};
      kafka::InitProducerIdRequest request;
      request.transactional_id = "odd";
      request.transaction_timeout_ms = 60'000;
      if (auto response = put(task, version, request, q)) note(q, kafka::to_string(response->error_code));
    } else {
      const int16_t version = any_version(ApiKey::find_coordinator, 4);
      const Question q{fmt::format("FindCoordinator v{} of nobody", version), {}, {kNothing}};
      if (auto response = put(task, version, kafka::FindCoordinatorRequest{}, q))
        note(q, response->coordinators.empty() ? kNothing : "a coordinator");
    }
  }

  void odd_topics(Task& task) {
    if (rng_.chance(1, 3)) {
      const int16_t version = any_version(ApiKey::delete_topics);
      kafka::DeleteTopicsRequest request;
      request.timeout_ms = 500;
      const Question q{fmt::format("DeleteTopics v{} of an unknown one", version),
                       {"nowhere", 0},
                       codes({ErrorCode::unknown_topic_or_partition}) + kNoController};
      if (version < 6)
        request.topic_names.push_back(q.at.topic);
      else
        request.topics.push_back({.name = q.at.topic, .topic_id = {}});
      if (auto response = put(task, version, request, q))
        note(q, response->responses.size() == 1 ? kafka::to_string(response->responses[0].error_code) : "an answer about others");
      return;
    }
    struct Odd {
      std::string_view what;
      std::string_view name;
      int32_t partitions;
      int16_t replicas;
      int times;
      ErrorCode answer;
    };
    constexpr Odd kOdd[] = {
        {"an illegal name", "a/b", 1, 1, 1, ErrorCode::invalid_topic_exception},
        {"no partitions", "odd", 0, 1, 1, ErrorCode::invalid_partitions},
        {"a hundred replicas", "odd", 1, 100, 1, ErrorCode::invalid_replication_factor},
        {"one name twice", "odd", 1, 1, 2, ErrorCode::invalid_request},
        {"nothing", "", 1, 1, 0, ErrorCode::none},
    };
    const Odd& odd = kOdd[rng_.below(std::size(kOdd))];
    const int16_t version = any_version(ApiKey::create_topics);
    kafka::CreateTopicsRequest request;
    request.timeout_ms = 500;
    for (int i = 0; i < odd.times; ++i)
      request.topics.push_back({.name = std::string(odd.name),
                                .num_partitions = odd.partitions,
                                .replication_factor = odd.replicas,
                                .assignments = {},
                                .configs = {}});
    const Question q{fmt::format("CreateTopics v{} with {}", version, odd.what),
                     {std::string(odd.name), 0},
                     odd.times == 0 ? Texts{kNothing} : codes({odd.answer}) + kNoController};
    auto response = put(task, version, request, q);
    if (!response) return;
    if (response->topics.size() != request.topics.size()) return note(q, "an answer about others");
    if (response->topics.empty()) return note(q, kNothing);
    for (const auto& topic : response->topics) note(q, kafka::to_string(topic.error_code));
  }

  ClientEnv& env_;
  const ClientPart& part_;
  const OddRequestsOptions& options_;
  Rng rng_;
  Versions versions_;
  std::string name_;
  TaskGroup tasks_;
  std::vector<std::shared_ptr<BrokerConnection>> connections_;    // by broker
  size_t broker_ = 0;                                             // whom the present question is for
  std::map<std::pair<size_t, PartitionName>, LeaderEpoch> told_;  // in which a broker has told an end last
  int64_t number_ = 0;
};

std::shared_ptr<const Workload> read_odd_requests(const Table& t, const ClusterSpec&) {
  OddRequestsOptions out;
  out.every = t.seconds("every_s", out.every);
  return std::make_shared<OddRequests>(out);
}

}  // namespace

void OddRequests::run(Task& task, ClientEnv& env, const ClientPart& part) const { Asker(env, part, options_).run(task); }

WorkloadKind odd_requests_kind() {
  return {"odd_requests", "asks what no good client asks, and knows what it may be answered", {"every_s"}, read_odd_requests};
}

}  // namespace sg::scenario
