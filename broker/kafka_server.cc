#include "broker/kafka_server.h"

#include <algorithm>

#include "base/probe.h"
#include "broker/accept_loop.h"

namespace sg::broker {
namespace {

constexpr Duration kUpkeepLeast = 50ms;
constexpr Duration kUpkeepMost = 1s;

}  // namespace

KafkaServer::KafkaServer(Services services, const Config::Limits& limits)
    : services_(services), limits_(limits), log_(services.env.log.with("kafka")) {
  in_flight_.queued_bytes = [this] { return services_.partitions.queued_bytes(); };
}

Result<> KafkaServer::listen(const net::Address& address) {
  TRY(listener_, services_.env.network.listen(address));
  return {};
}

void KafkaServer::run(Task& task) {
  TaskGroup own(task.scheduler());
  own.spawn("client upkeep", [this](Task& t) { upkeep(t); });
  accept_loop(task, *listener_, "client",
              [this](Task& t, std::shared_ptr<net::Connection> connection) { serve(t, std::move(connection)); });
  own.stop();
  own.join(task);
}

void KafkaServer::serve(Task& task, std::shared_ptr<net::Connection> connection) {
  if (silent_) return;
  if (in_flight_.connections >= limits_.connections) {
    ++stats_.too_many_connections;
    note_misbehaviour(connection->peer(), fmt::format("more than {} connections", limits_.connections));
    return;
  }
  ++stats_.connections;
  ++in_flight_.connections;
  ClientConnection client(connection, limits_, in_flight_, task.scheduler());
  auto place = clients_.insert(clients_.end(), &client);
  Result<> ended = client.run(task, [this](ClientConnection& from, SharedBytes frame, std::shared_ptr<ResponseSlot> slot) {
    return dispatch(from, std::move(frame), std::move(slot));
  });
  clients_.erase(place);
  if (ended.is(Errc::too_large) || ended.is(Errc::invalid)) {
    ++stats_.malformed;
    note_misbehaviour(connection->peer(), ended.error().what);
  }
  --in_flight_.connections;
}

void KafkaServer::upkeep(Task& task) {
  while (task.sleep_for(std::clamp(limits_.connection_max_idle / 4, kUpkeepLeast, kUpkeepMost))) {
    end_idle(task.now());
    end_those_who_keep_us_waiting(task.now());
  }
}

void KafkaServer::end_idle(Time now) {
  for (ClientConnection* client : clients_) {
    const Time since = client->idle_since();
    if (since == Time::never() || now - since < limits_.connection_max_idle) continue;
    REACHED("kafka: an idle connection ended");
    ++stats_.idle;
    log_.debug("client_idle from={}", to_string(client->peer()));
    client->end();
  }
}

// Memory that only the client can free, by sending or by reading on, and that others need: who has kept the node waiting the longest goes
// first, until half of the room is free. Without this a few silent clients could keep everybody's large requests and answers waiting.
void KafkaServer::end_those_who_keep_us_waiting(Time now) {
  const bool short_of_room =
      in_flight_.unfinished_bytes > limits_.node_max_unfinished_bytes / 2 || in_flight_.answer_bytes > limits_.node_max_answer_bytes / 2;
  if (!short_of_room || !in_flight_.freed.has_waiters()) return;
  std::vector<ClientConnection*> waiting;
  size_t held = 0;
  for (ClientConnection* client : clients_) {
    if (client->bytes_held_for_client() == 0) continue;
    held += client->bytes_held_for_client();
    if (client->waits_for_client_since() < now - limits_.patience) waiting.push_back(client);
  }
  std::stable_sort(waiting.begin(), waiting.end(), [](const ClientConnection* a, const ClientConnection* b) {
    return a->waits_for_client_since() < b->waits_for_client_since();
  });
  for (size_t kept = held; ClientConnection * client : waiting) {
    if (kept <= held / 2) break;
    kept -= client->bytes_held_for_client();
    REACHED("kafka: a client kept memory that others needed");
    ++stats_.kept_waiting;
    note_misbehaviour(client->peer(), "kept memory that others need");
    client->end();
  }
}

void KafkaServer::silence() {
  silent_ = true;
  for (ClientConnection* client : clients_) client->end();
}

void KafkaServer::on_durable() {
  if (in_flight_.freed.has_waiters()) in_flight_.freed.notify_all();
}

Result<> KafkaServer::dispatch(ClientConnection& connection, SharedBytes frame, std::shared_ptr<ResponseSlot> slot) {
  ++stats_.requests;
  TRY(kafka::RequestFrame request, kafka::decode_request_header(frame));
  const kafka::Api* api = kafka::find_api(request.header.api_key);
  Handler handler = find_handler(request.header.api_key);
  if (!api || !handler) {
    ++stats_.unknown_api;
    return fail(Errc::invalid, fmt::format("{} is not served", kafka::to_string(request.header.api_key)));
  }
  const bool served = api->served.contains(request.header.api_version);
  auto call = std::make_shared<Call>(std::move(request.header), std::move(request.body), std::move(slot), connection);
  if (!served) {
    ++stats_.unsupported_version;
    REACHED("kafka: a version that is not served");
    return handle_unsupported_version(services_, std::move(call));
  }
  return handler(services_, std::move(call));
}

void KafkaServer::note_misbehaviour(const net::Address& peer, std::string_view what) {
  if (limiter_.allow(services_.env.clock.now()))
    log_.warn("bad_client from={} reason=\"{}\" suppressed={}", to_string(peer), what, limiter_.suppressed());
}

}  // namespace sg::broker
