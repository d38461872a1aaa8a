// Two processes claim one node id: which of them may register (claim.h says when that is a question at all).
//
// Why waiting is enough: the registered run is asked where it is registered, on a connection that nobody else's silence can hold up, and
// any message from it counts as well. A claimant is let in when somebody else answers there (a port is held by one process), or when
// nobody does and nothing was heard from the registered run for a session. A later run of the same directory is let in as soon as the host
// there says that nobody listens, to this controller or to whoever had a link: the process lives as long as its listener. If that was
// wrong, it costs an election and a copy: another directory is another copy, and the run that it replaced is told by the catalogue. A later
// run of the same directory elsewhere is a node that moved; that it is no copy of the directory is for the directory to know.
#include "broker/metadata/controller.h"

namespace sg::metadata {

bool Controller::may_register(Time now, NodeId from, uint64_t id, const RegisterBroker& r, ControllerOutput& out) {
  auto refuse = [&](ControllerError error, std::string message) {
    out.replies.push_back({from, {.id = id, .error = error, .message = std::move(message), .body = {}}});
    return false;
  };
  for (const auto& [token, pending] : pending_) {
    const auto* other = std::get_if<RegisterBroker>(&pending.record);
    if (other && other->node == r.node && other->run != r.run)
      return refuse(ControllerError::busy, fmt::format("run {} of node {} is being registered", other->run, r.node));
  }
  const Claim claim = claim_of(catalogue_, voters_, r);
  if (claim == Claim::free || claim == Claim::repeated || claim == Claim::restart) return true;
  const Broker& b = *catalogue_.broker(r.node);
  Watch& w = watches_.at(r.node);
  // One line for each claimant and each thing that was found out.
  auto note = [&](std::string_view verdict, std::string_view found) {
    std::string line = fmt::format("node_claimed node={} verdict={} found=\"{}\" what=\"{}\"", r.node, verdict, found, two_bearers(b, r));
    if (std::exchange(w.last_note, line) != line) out.notes.push_back(std::move(line));
  };
  if (claim == Claim::returning) {
    note("admitted", "the run that gives way is in no ISR and has no vote, this one has a place");
    return true;
  }
  if (claim == Claim::outdated) {
    note("refused", "this directory was started since");
    return refuse(ControllerError::claimed, two_bearers(b, r));
  }
  // What was found for a claim of long ago says nothing about now.
  if (w.found && now >= w.found_at + options_.session_timeout) w.found.reset();
  if (w.found == Found::another) {
    note("admitted", "another process answers at its address");
    return true;
  }
  if ((w.found == Found::closed || w.suspected) && r.run.newer_than(b.run)) {
    note("admitted", "nobody listens at its address any more");
    return true;
  }
  if ((w.found == Found::nobody || w.found == Found::closed) && now >= w.heard + options_.session_timeout) {
    note("admitted", "it does not answer, and nothing was heard of it for a session");
    return true;
  }
  if (!std::exchange(w.asking, true)) out.inquiries.push_back({b.node, b.run, b.peer});
  if (!w.found) return refuse(ControllerError::busy, fmt::format("asking at {}:{} for run {}", b.peer.host, b.peer.port, b.run));
  note("refused", w.found == Found::itself ? "it answers at its address" : "it was heard of within a session");
  return refuse(ControllerError::claimed, two_bearers(b, r));
}

ControllerOutput Controller::on_answer(Time now, const Inquiry& inquiry, const Result<Answer>& answer) {
  ControllerOutput out;
  const Broker* b = catalogue_.broker(inquiry.node);
  if (!active_ || !b || b->run != inquiry.run) return out;
  watch_all(now);
  const bool itself = answer && answer->node == inquiry.node && answer->run == inquiry.run;
  if (itself) out = on_alive(now, inquiry.node, inquiry.run);
  Watch& w = watches_.at(inquiry.node);
  w.asking = false;
  w.found_at = now;
  if (answer)
    w.found = itself ? Found::itself : Found::another;
  else
    w.found = answer.is(Errc::refused) ? Found::closed : Found::nobody;
  return out;
}

}  // namespace sg::metadata
