#include "broker/client_connection.h"

#include "base/probe.h"

namespace sg::broker {
namespace {

constexpr size_t kMaxPiecesPerWrite = 256;

}  // namespace

void ResponseSlot::complete(std::vector<SharedBytes> pieces) {
  ENSURE(!completed_, "a request was answered twice");
  completed_ = true;
  pieces_ = std::move(pieces);
  if (changed_) changed_->notify_all();
}

ClientConnection::ClientConnection(std::shared_ptr<net::Connection> connection, const Config::Limits& limits, InFlight& in_flight,
                                   Scheduler& scheduler)
    : connection_(std::move(connection)),
      limits_(limits),
      in_flight_(in_flight),
      reader_(*connection_, limits.request_max_bytes),
      tasks_(scheduler) {}

Result<> ClientConnection::run(Task& task, const Dispatch& dispatch) {
  TaskGroup writer(task.scheduler());
  writer.spawn("client write", [this](Task& t) { write_loop(t); });
  Result<> result = read_loop(task, dispatch);
  // A client that has finished sending still gets the answers to what it sent (half-close); one that broke does not.
  if (result.is(Errc::closed)) {
    while (!pending_.empty() && !ended_ && drained_.wait(task, Time::never(), "last answers")) {}
  }
  ended_ = true;
  changed_.notify_all();
  connection_->close();
  tasks_.stop();
  writer.stop();
  writer.join(task);
  tasks_.join(task);
  for (auto& slot : pending_) slot->changed_ = nullptr;
  in_flight_.bytes -= in_flight_bytes_;
  in_flight_.freed.notify_all();
  return result;
}

Result<> ClientConnection::read_loop(Task& task, const Dispatch& dispatch) {
  while (true) {
    while (!ended_ && (pending_.size() >= limits_.connection_max_requests || in_flight_bytes_ >= limits_.connection_max_in_flight_bytes)) {
      REACHED("client: reading paused by the connection's bound");
      TRY_DO(drained_.wait(task, Time::never(), "room for requests"));
    }
    while (!ended_ && in_flight_.held_bytes() >= limits_.node_max_in_flight_bytes) {
      REACHED("client: reading paused by the node's bound");
      TRY_DO(in_flight_.freed.wait(task, Time::never(), "room on the node"));
    }
    if (ended_) return fail(Errc::reset);
    TRY(SharedBytes frame, reader_.next(task));
    auto slot = std::make_shared<ResponseSlot>();
    slot->changed_ = &changed_;
    slot->request_bytes_ = frame.size();
    in_flight_bytes_ += frame.size();
    in_flight_.bytes += frame.size();
    pending_.push_back(slot);
    TRY_DO(dispatch(*this, std::move(frame), std::move(slot)));
  }
}

void ClientConnection::write_loop(Task& task) {
  std::vector<SharedBytes> batch;
  std::vector<ByteSpan> pieces;
  while (!ended_) {
    batch.clear();
    pieces.clear();
    while (!pending_.empty() && pending_.front()->completed_ && batch.size() < kMaxPiecesPerWrite) {
      ResponseSlot& slot = *pending_.front();
      for (SharedBytes& piece : slot.pieces_)
        if (!piece.empty()) batch.push_back(std::move(piece));
      in_flight_bytes_ -= slot.request_bytes_;
      in_flight_.bytes -= slot.request_bytes_;
      slot.changed_ = nullptr;
      pending_.pop_front();
    }
    if (!batch.empty()) {
      for (const SharedBytes& piece : batch) pieces.push_back(piece.span());
      if (!connection_->write(task, pieces)) break;
    }
    drained_.notify_all();
    if (in_flight_.freed.has_waiters()) in_flight_.freed.notify_all();
    if (!pending_.empty() && pending_.front()->completed_) continue;
    if (!changed_.wait(task, Time::never(), "answers")) break;
  }
  // The reader may be waiting for the client, for room, or for nothing at all: let it see the end.
  ended_ = true;
  connection_->close();
  drained_.notify_all();
}

}  // namespace sg::broker
