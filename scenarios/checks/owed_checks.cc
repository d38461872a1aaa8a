#include "scenarios/checks/owed_checks.h"

#include <fmt/format.h>

#include <algorithm>

namespace sg::scenario {
namespace {

// "Produce v9 of producer-2"
std::string describe(const kafka::RequestHeader& h) {
  return fmt::format("{} v{} of {}", kafka::to_string(h.api_key), h.api_version, h.client_id.value_or("?"));
}

}  // namespace

void OwedChecks::on_request(MachineId to, uint64_t connection, Request request) {
  Connection& c = connections_[connection];
  c.machine = to;
  if (c.requests.empty()) c.first_since = request.asked;
  c.requests.push_back(std::move(request));
}

void OwedChecks::on_arrived(uint64_t connection, uint64_t number, Time now) {
  for (Unanswerable& u : unanswerable_)
    if (u.number == number) u.arrived = now;
  auto it = connections_.find(connection);
  if (it == connections_.end()) return;
  auto& requests = it->second.requests;
  auto request = std::ranges::find(requests, number, &Request::number);
  if (request == requests.end()) return;
  request->arrived = true;
  if (request == requests.begin()) it->second.first_since = now;
}

void OwedChecks::on_unanswerable(MachineId to, uint64_t connection, uint64_t number, std::vector<uint32_t> batches) {
  if (!batches.empty())
    unanswerable_.push_back({.machine = to, .connection = connection, .number = number, .arrived = {}, .batches = std::move(batches)});
}

void OwedChecks::on_appended(MachineId machine, uint32_t batch) {
  for (Unanswerable& u : unanswerable_)
    if (u.machine == machine) std::erase(u.batches, batch);
  std::erase_if(unanswerable_, [](const Unanswerable& u) { return u.batches.empty(); });
}

void OwedChecks::on_connection_over(uint64_t connection) {
  connections_.erase(connection);
  std::erase_if(unanswerable_, [&](const Unanswerable& u) { return u.connection == connection; });
}

void OwedChecks::on_answer(uint64_t connection, uint64_t number, Time now) {
  auto it = connections_.find(connection);
  if (it == connections_.end()) return;
  Connection& c = it->second;
  c.leaving = false;
  if (c.requests.empty() || c.requests.front().number != number) return;  // the taps judge the order
  c.requests.pop_front();
  c.first_since = now;
}

void OwedChecks::on_answer_begins(uint64_t connection) {
  if (auto it = connections_.find(connection); it != connections_.end()) it->second.leaving = true;
}

void OwedChecks::on_died(MachineId machine) {
  std::erase_if(connections_, [&](const auto& c) { return c.second.machine == machine; });
  std::erase_if(unanswerable_, [&](const Unanswerable& u) { return u.machine == machine; });
}

void OwedChecks::look(Time now, const std::function<Time(MachineId)>& excused_since) {
  if (now < next_look_) return;
  next_look_ = now + kLookEvery;
  for (const auto& [id, c] : connections_) {
    if (c.requests.empty() || !c.requests.front().arrived || c.leaving) continue;
    const Request& first = c.requests.front();
    const Time since = std::max(c.first_since, excused_since(c.machine));
    judge_.check(Check::l4, now <= since + first.own + kAnswerMargin, [&] {
      return fmt::format("machine {} has not answered {} for {} ms; it names {} ms itself, and {} ms more are allowed (connection {})",
                         c.machine, describe(first.header), (now - since) / 1ms, first.own / 1ms, kAnswerMargin / 1ms, id);
    });
  }
  for (const Unanswerable& u : unanswerable_) {
    if (!u.arrived) continue;
    const Time since = std::max(*u.arrived, excused_since(u.machine));
    judge_.check(Check::l4, now <= since + kAnswerMargin, [&] {
      return fmt::format(
          "machine {} has read a Produce with acks=0 {} ms ago, has not appended {} of its batches, and does not end connection {}",
          u.machine, (now - since) / 1ms, u.batches.size(), u.connection);
    });
  }
}

std::vector<std::string> OwedChecks::outstanding(Time now) const {
  std::vector<const Connection*> waiting;
  for (const auto& [id, c] : connections_)
    if (!c.requests.empty()) waiting.push_back(&c);
  std::ranges::stable_sort(waiting, {}, [](const Connection* c) { return c->requests.front().asked; });
  std::vector<std::string> out;
  for (const Connection* c : waiting)
    for (const Request& r : c->requests)
      out.push_back(fmt::format("{} waits for machine {} since {} ms{}{}", describe(r.header), c->machine, (now - r.asked) / 1ms,
                                r.arrived ? "" : "; it has not arrived", &r == &c->requests.front() ? "" : "; others are before it"));
  return out;
}

}  // namespace sg::scenario
