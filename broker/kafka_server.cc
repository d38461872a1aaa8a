#include "broker/kafka_server.h"

#include "base/probe.h"
#include "broker/accept_loop.h"

namespace sg::broker {

KafkaServer::KafkaServer(Services services, const Config::Limits& limits)
    : services_(services), limits_(limits), log_(services.env.log.with("kafka")) {
  in_flight_.queued_bytes = [this] { return services_.partitions.queued_bytes(); };
}

Result<> KafkaServer::listen(const net::Address& address) {
  TRY(listener_, services_.env.network.listen(address));
  return {};
}

void KafkaServer::run(Task& task) {
  accept_loop(task, *listener_, "client", [this](Task& t, std::shared_ptr<net::Connection> connection) {
    if (in_flight_.connections >= limits_.connections) {
      ++stats_.too_many_connections;
      note_misbehaviour(connection->peer(), "too many connections");
      return;
    }
    ++stats_.connections;
    ++in_flight_.connections;
    ClientConnection client(connection, limits_, in_flight_, t.scheduler());
    Result<> ended = client.run(t, [this](ClientConnection& from, SharedBytes frame, std::shared_ptr<ResponseSlot> slot) {
      return dispatch(from, std::move(frame), std::move(slot));
    });
    if (ended.is(Errc::too_large) || ended.is(Errc::invalid)) {
      ++stats_.malformed;
      note_misbehaviour(connection->peer(), ended.error().what);
    }
    --in_flight_.connections;
  });
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
