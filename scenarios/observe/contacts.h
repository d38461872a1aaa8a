// Who has been hearing whom, and since when: what has not reached anybody, nobody can be judged by.
#pragma once

#include <map>
#include <utility>

#include "base/time.h"
#include "scenarios/world/machine.h"

namespace sg::scenario {

// Within it a broker that is in contact with the controller has an answer to whatever it asked, or has asked again.
inline constexpr Duration kSettled = 3s;

class Contacts {
 public:
  void peer_message(MachineId from, MachineId to, Time now) { between_[{from, to}].note(now); }
  // A follower has accepted what Raft's leader sent.
  void raft_accepted(MachineId follower, MachineId leader, Time now) {
    raft_[follower].note(now);
    raft_[leader].note(now);
  }

  // Messages have been coming for a while, without a gap.
  bool heard(MachineId from, MachineId by, Time now) const { return lasts(between_, {from, by}, now); }
  // With Raft's leader; a leader with one of its followers.
  bool in_raft(MachineId machine, Time now) const { return lasts(raft_, machine, now); }

 private:
  static constexpr Duration kGap = 500ms;
  struct Contact {
    Time since;
    Time last;
    void note(Time at) {
      if (at > last + kGap) since = at;
      last = at;
    }
  };
  template <class Key>
  static bool lasts(const std::map<Key, Contact>& contacts, const Key& key, Time now) {
    auto it = contacts.find(key);
    return it != contacts.end() && now >= it->second.since + kSettled && now <= it->second.last + kGap;
  }

  std::map<std::pair<MachineId, MachineId>, Contact> between_;
  std::map<MachineId, Contact> raft_;
};

}  // namespace sg::scenario
