#include "scenarios/client/broker_connection.h"

#include "broker/kafka/api_versions.h"

namespace sg::scenario {

BrokerConnection::BrokerConnection(std::unique_ptr<net::Connection> connection, std::string client_id)
    : connection_(std::move(connection)), client_id_(std::move(client_id)) {}

Result<std::shared_ptr<BrokerConnection>> BrokerConnection::open(Task& task, net::Network& network, TaskGroup& tasks,
                                                                 const net::Address& address, std::string client_id, Time deadline,
                                                                 const Versions& versions) {
  TRY(auto connection, network.connect(task, address, deadline));
  std::shared_ptr<BrokerConnection> self(new BrokerConnection(std::move(connection), std::move(client_id)));
  tasks.spawn("kafka read", [self](Task& t) { self->read_loop(t); });
  tasks.spawn("kafka write", [self](Task& t) { self->write_loop(t); });
  const kafka::ApiVersionsRequest asked{.client_software_name = "stormglass", .client_software_version = "1"};
  auto spoken = self->call(task, versions.of(kafka::ApiKey::api_versions, 3), asked, deadline);
  if (!spoken) {
    self->close();
    return std::unexpected(spoken.error());
  }
  return self;
}

Result<SharedBytes> BrokerConnection::ask(Task& task, kafka::ApiKey key, int16_t version, SharedBytes body, Time deadline) {
  const int32_t id = next_correlation_++;
  kafka::Gather out;
  kafka::begin_request(out, key, version, id, client_id_);
  out.append(std::move(body));
  return exchange(task, id, kafka::end_frame(std::move(out)), deadline);
}

void BrokerConnection::close() { fail_all(); }

void BrokerConnection::fail_all() {
  broken_ = true;
  connection_->close();
  wake_.notify_all();
  for (Pending* p : pending_) {
    p->broken = true;
    p->arrived.notify_all();
  }
  pending_.clear();
}

void BrokerConnection::enqueue(std::vector<SharedBytes> frame) {
  for (SharedBytes& piece : frame) outgoing_.push_back(std::move(piece));
  wake_.notify_one();
}

Result<SharedBytes> BrokerConnection::exchange(Task& task, int32_t id, std::vector<SharedBytes> frame, Time deadline) {
  if (broken_) return fail(Errc::reset, "the connection to the broker has ended");
  enqueue(std::move(frame));
  Pending self;
  self.correlation = id;
  pending_.push_back(&self);
  while (!self.frame && !self.broken) {
    Result<> woken = self.arrived.wait(task, deadline, "a broker's answer");
    if (woken) continue;
    // Answers come in order, so one that is late holds up all behind it: the connection is of no more use.
    std::erase(pending_, &self);
    fail_all();
    return std::unexpected(woken.error());
  }
  if (self.broken) return fail(Errc::reset, "the connection to the broker has ended");
  return std::move(*self.frame);
}

void BrokerConnection::read_loop(Task& task) {
  broker::FrameReader reader(*connection_, kMaxResponseBytes);
  while (!broken_) {
    Result<SharedBytes> frame = reader.next(task);
    if (!frame) break;
    Result<int32_t> id = kafka::peek_correlation_id(*frame);
    if (!id || pending_.empty() || pending_.front()->correlation != *id) break;
    Pending* p = pending_.front();
    pending_.pop_front();
    p->frame = std::move(*frame);
    p->arrived.notify_all();
  }
  fail_all();
}

void BrokerConnection::write_loop(Task& task) {
  std::vector<SharedBytes> batch;
  std::vector<ByteSpan> pieces;
  while (!broken_) {
    if (outgoing_.empty()) {
      if (!wake_.wait(task, Time::never(), "requests to send")) break;
      continue;
    }
    batch.assign(std::make_move_iterator(outgoing_.begin()), std::make_move_iterator(outgoing_.end()));
    outgoing_.clear();
    pieces.clear();
    for (const SharedBytes& piece : batch) pieces.push_back(piece.span());
    if (!connection_->write(task, pieces)) break;
  }
  fail_all();
}

}  // namespace sg::scenario
