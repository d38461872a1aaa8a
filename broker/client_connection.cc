#include "broker/client_connection.h"

#include "base/probe.h"

namespace sg::broker {
namespace {

constexpr size_t kMaxPiecesPerWrite = 256;

}  // namespace

void ResponseSlot::complete(std::vector<SharedBytes> pieces) {
  ENSURE(!completed_, "a request was answered twice");
  completed_ = true;
  if (!connection_) return;
  pieces_ = std::move(pieces);
  for (const SharedBytes& piece : pieces_) answer_bytes_ += piece.size();
  connection_->answer_bytes_ += answer_bytes_;
  connection_->in_flight_.answer_bytes += answer_bytes_;
  connection_->changed_.notify_all();
}

ClientConnection::ClientConnection(std::shared_ptr<net::Connection> connection, const Config::Limits& limits, InFlight& in_flight,
                                   Scheduler& scheduler)
    : connection_(std::move(connection)),
      limits_(limits),
      in_flight_(in_flight),
      reader_(*connection_, limits.request_max_bytes, this),
      tasks_(scheduler),
      active_at_(scheduler.now()) {}

Result<> ClientConnection::run(Task& task, const Dispatch& dispatch) {
  TaskGroup writer(task.scheduler());
  writer.spawn("client write", [this](Task& t) { write_loop(t); });
  Result<> result = read_loop(task, dispatch);
  // A client that has finished sending still gets the answers to what it sent (half-close); one that broke does not. From here the two
  // cannot be told from one that has gone, so it is not for ever.
  if (result.is(Errc::closed)) {
    const Time deadline = task.now() + limits_.last_answers;
    while (!pending_.empty() && !ended_ && drained_.wait(task, deadline, "last answers")) {}
  }
  end();
  tasks_.stop();
  writer.stop();
  writer.join(task);
  tasks_.join(task);
  for (auto& slot : pending_) slot->connection_ = nullptr;
  in_flight_.bytes -= in_flight_bytes_;
  in_flight_.answer_bytes -= answer_bytes_;
  release();
  in_flight_.freed.notify_all();
  return result;
}

void ClientConnection::end() {
  ended_ = true;
  connection_->close();
  changed_.notify_all();
  drained_.notify_all();
  in_flight_.freed.notify_all();
}

Time ClientConnection::idle_since() const { return writing_since_ == Time::never() ? active_at_ : writing_since_; }

void ClientConnection::spawn_in_turn(std::shared_ptr<ResponseSlot> slot, std::string name, TaskBody body) {
  work_.push_back({std::move(slot), std::move(name), std::move(body)});
  begin_work();
}

void ClientConnection::begin_work() {
  if (work_.empty() || pending_.empty() || work_.front().slot != pending_.front()) return;
  Work work = std::move(work_.front());
  work_.pop_front();
  tasks_.spawn(std::move(work.name), std::move(work.body));
}

// More than one answer is never waited for while the node is short of room for them.
bool ClientConnection::answers_pile_up() const {
  return answer_bytes_ >= limits_.connection_max_answer_bytes ||
         (answer_bytes_ > 0 && in_flight_.answer_bytes >= limits_.node_max_answer_bytes);
}

// A frame alone gets all it needs, so that there is always one that can be completed.
Result<> ClientConnection::reserve(Task& task, size_t bytes) {
  ENSURE(bytes > unfinished_bytes_, "{} bytes of a frame that has {}", bytes, unfinished_bytes_);
  if (unfinished_bytes_ == 0) unfinished_since_ = task.now();
  while (!ended_) {
    const size_t others = in_flight_.unfinished_bytes - unfinished_bytes_;
    if (others == 0 || others + bytes <= limits_.node_max_unfinished_bytes) break;
    REACHED("client: a large request waits for memory");
    TRY_DO(in_flight_.freed.wait(task, Time::never(), "room for a large request"));
  }
  if (ended_) return fail(Errc::closed);
  in_flight_.unfinished_bytes += bytes - unfinished_bytes_;
  unfinished_bytes_ = bytes;
  return {};
}

void ClientConnection::release() {
  unfinished_since_ = Time::never();
  if (unfinished_bytes_ == 0) return;
  in_flight_.unfinished_bytes -= std::exchange(unfinished_bytes_, 0);
  in_flight_.freed.notify_all();
}

Result<> ClientConnection::read_loop(Task& task, const Dispatch& dispatch) {
  while (true) {
    while (!ended_ && (pending_.size() >= limits_.connection_max_requests || in_flight_bytes_ >= limits_.connection_max_in_flight_bytes ||
                       answers_pile_up())) {
      REACHED("client: reading paused by the connection's bound");
      TRY_DO(drained_.wait(task, Time::never(), "room for requests"));
    }
    while (!ended_ && in_flight_.held_bytes() >= limits_.node_max_in_flight_bytes) {
      REACHED("client: reading paused by the node's bound");
      TRY_DO(in_flight_.freed.wait(task, Time::never(), "room on the node"));
    }
    if (ended_) return fail(Errc::reset);
    TRY(SharedBytes frame, reader_.next(task));
    active_at_ = task.now();
    auto slot = std::make_shared<ResponseSlot>();
    slot->connection_ = this;
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
    size_t bytes = 0;
    while (!pending_.empty() && pending_.front()->completed_ && batch.size() < kMaxPiecesPerWrite) {
      ResponseSlot& slot = *pending_.front();
      for (SharedBytes& piece : slot.pieces_)
        if (!piece.empty()) batch.push_back(std::move(piece));
      in_flight_bytes_ -= slot.request_bytes_;
      in_flight_.bytes -= slot.request_bytes_;
      bytes += slot.answer_bytes_;
      slot.connection_ = nullptr;
      pending_.pop_front();
    }
    begin_work();
    if (!batch.empty()) {
      for (const SharedBytes& piece : batch) pieces.push_back(piece.span());
      writing_since_ = task.now();
      const bool written = connection_->write(task, pieces).has_value();
      writing_since_ = Time::never();
      if (!written) break;
      active_at_ = task.now();
      pieces.clear();
      batch.clear();  // now, and not when the next answer is due: it may be large
      answer_bytes_ -= bytes;
      in_flight_.answer_bytes -= bytes;
    }
    drained_.notify_all();
    if (in_flight_.freed.has_waiters()) in_flight_.freed.notify_all();
    if (!pending_.empty() && pending_.front()->completed_) continue;
    if (!changed_.wait(task, Time::never(), "answers")) break;
  }
  // The reader may be waiting for the client, for room, or for nothing at all: let it see the end.
  end();
}

Result<> AnswerRoom::wait(Task& task) {
  while (left() == 0) {
    REACHED("client: an answer waits for memory");
    TRY_DO(in_flight_.freed.wait(task, Time::never(), "room for an answer"));
  }
  return {};
}

void AnswerRoom::hold(size_t bytes) {
  in_flight_.answer_bytes = in_flight_.answer_bytes - held_ + bytes;
  if (bytes < held_) in_flight_.freed.notify_all();
  held_ = bytes;
}

}  // namespace sg::broker
