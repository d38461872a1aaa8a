#include "broker/replica/standing.h"

namespace sg::replica {
namespace {

Verdict in_silence(const Speaker& speaker, const Asked& asked) {
  constexpr Outcome kError = Outcome::controller_silent;
  switch (asked.question) {
    case Question::append_all: return {Speech::as_usual, kError};
    case Question::fetch:
      if (asked.current_epoch == speaker.epoch && asked.last_epoch <= speaker.epoch) return {Speech::committed, kError};
      return {Speech::nothing, kError};
    case Question::append:
    case Question::look_up:
    case Question::leads: return {Speech::nothing, kError};
  }
  return {Speech::nothing, kError};
}

}  // namespace

std::string_view to_string(Standing standing) {
  switch (standing) {
    case Standing::unregistered: return "unregistered";
    case Standing::registered: return "registered";
    case Standing::silent: return "silent";
    case Standing::fenced: return "fenced";
    case Standing::superseded: return "superseded";
  }
  return "unknown";
}

Standing standing_of(const Station& station, Duration session, Time now) {
  if (!station.registered) return station.was_registered && station.replaced ? Standing::superseded : Standing::unregistered;
  if (station.fenced || station.told > station.since) return Standing::fenced;
  return now < station.heard + session ? Standing::registered : Standing::silent;
}

Verdict may_speak(const Speaker& speaker, const Asked& asked) {
  if (is_outside(speaker.standing)) return {Speech::nothing, Outcome::not_leader};
  if (speaker.damaged) return {Speech::nothing, Outcome::damaged};
  if (!speaker.leads || speaker.newest_epoch > speaker.epoch) return {Speech::nothing, Outcome::not_leader};
  if (speaker.standing == Standing::silent) return in_silence(speaker, asked);
  if (asked.current_epoch > speaker.epoch || asked.last_epoch > speaker.epoch) return {Speech::nothing, Outcome::unknown_leader_epoch};
  if (asked.current_epoch != kNoLeaderEpoch && asked.current_epoch < speaker.epoch) return {Speech::nothing, Outcome::fenced_leader_epoch};
  return {Speech::as_usual, Outcome::not_leader};
}

}  // namespace sg::replica
