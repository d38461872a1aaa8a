// The faults of people (sim/fault.h, operator_*): they start a node wrongly, twice, elsewhere, or on another disk, and later set it right.
//
// Invariant: a mistake ends where it was to end, at the latest with mend(); then the node is started rightly, on its own disk and under
// its own address. One mistake per machine at a time. What is wrong with the way a process is started only the harness knows (Operator):
// sim/ knows nothing of the program. Spec: correctness.md part 1, 11.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "sim/fault.h"
#include "sim/world.h"

namespace sg::sim {

// What the harness does for people.
class Operator {
 public:
  virtual ~Operator() = default;
  // From now on the machine's program is started as the mistake says; until end(), before which a process that runs so has not been ended.
  virtual void begin(Node& machine, const Fault& mistake) = 0;
  // False: nobody may go on with what is on the disk now (what the mistaken process has made of an empty one; an old copy that it has
  // taken for its own); whoever made the mistake empties it.
  virtual bool end(Node& machine) = 0;
  // A machine that nothing runs on, for a second process with the identity of `of`, from the next begin() to end(); null: there is none.
  virtual Node* spare(const Node& of) = 0;
};

class People {
 public:
  // All outlive the people. `everybody`: the servers, for mistakes that concern all of them.
  People(World& world, Operator& harness, std::vector<Node*> everybody)
      : world_(world), harness_(harness), everybody_(std::move(everybody)) {}

  // Keeps a copy of the target's disk as it is now for the fault of that index, which will put it to use.
  void back_up(size_t index, Node& target);
  // The target of the backup for that fault; null: none was made.
  Node* backed_up(size_t index) const;

  // False: it cannot be now (the target is down, another mistake with this machine has not ended, no machine is free, no backup was made).
  bool strike(size_t index, const Fault& fault, Node& target);

  // Ends every mistake that is under way: all machines are as they should be, and may be started.
  void mend();

 private:
  struct Mistake {
    Node* machine;
    std::function<void(bool restart)> end;
    Node* lender = nullptr;  // whose name leads to that machine
  };

  bool busy(const Node& machine) const;
  // From now on nobody else starts it. A machine that other faults keep down too starts when the last of them lets it.
  Effects::Id keep_down(Node& machine, Death death);
  void start_later(Duration delay, Effects::Id down);
  // After the machine's process has ended as `death` says, runs `next`, once, with what keeps the machine down; never after the safety
  // phase.
  void end_process(Node& machine, Death death, std::function<void(Effects::Id down)> next);
  void end_and_restart(const Fault& fault, Node& machine, Death death, bool restart);
  void end_restored(const Fault& fault, Node& target, bool restart);
  void wait_for_exit(Node& machine, Time patience, std::function<void()> next);
  void later(Duration delay, std::function<void()> action);
  // The mistake lasts for the fault's duration (0: until mend()).
  void keep(const Fault& fault, Node& machine, std::function<void(bool restart)> end, Node* lender = nullptr);
  void finish(uint64_t id, bool restart);

  void start_wrongly(const Fault& fault, Node& target);
  void set_clock(const Fault& fault, Node& target);
  void move(const Fault& fault, Node& target);
  void restore(const Fault& fault, Node& target, const DiskImage& image);
  void unmount(const Fault& fault, Node& target);
  bool start_twin(const Fault& fault, Node& target, const DiskImage* image);
  void start_stale_first(const Fault& fault, Node& target);

  World& world_;
  Operator& harness_;
  std::vector<Node*> everybody_;
  std::map<size_t, std::pair<Node*, DiskImage>> backups_;
  std::map<uint64_t, Mistake> mistakes_;
  std::vector<Node*> stopping_;  // asked to stop, with something else to follow
  uint64_t next_mistake_ = 0;
};

}  // namespace sg::sim
