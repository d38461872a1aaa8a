// What the programs of this folder share: samples of one measurement, the CPU beside them, and a directory that is gone afterwards.
// They measure what the machine can do, without the broker; bench/run compares the broker with them in the same minute.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sg::bench {

int64_t now_ns();
// CPU that this process (all its threads, those of io_uring too) and its ended, waited-for children have used.
int64_t cpu_ns();

// One measurement, in as many pieces as are added to it.
class Samples {
 public:
  void add(int64_t ns) { sorted_ = false, ns_.push_back(ns); }
  void add_time(int64_t wall_ns, int64_t cpu) { wall_ns_ += wall_ns, cpu_ns_ += cpu; }

  size_t count() const { return ns_.size(); }
  // The smallest sample that `per_mille` of all do not exceed; 0 without samples.
  int64_t percentile(uint64_t per_mille);
  int64_t wall_ns() const { return wall_ns_; }
  int64_t cpu_per_sample_ns() const { return ns_.empty() ? 0 : cpu_ns_ / static_cast<int64_t>(ns_.size()); }

 private:
  std::vector<int64_t> ns_;
  bool sorted_ = false;
  int64_t wall_ns_ = 0;
  int64_t cpu_ns_ = 0;
};

// A new directory below `parent`, removed with all its files at the end. Exits with a message if it cannot be made.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(const std::string& parent);
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  std::string file(std::string_view name) const;

 private:
  std::string path_;
  int owner_;  // only the process that made it removes it
};

// Memory for direct I/O, filled with bytes that do not compress; never freed.
uint8_t* aligned_bytes(size_t size);

// A new file of `bytes` written and synced bytes, opened for reading and writing; O_DIRECT where `direct` is asked for and granted (a
// note on standard error says when it is not).
int open_written(const std::string& path, uint64_t bytes, bool direct);

// One write that is durable when it returns (RWF_DSYNC), from wherever it was interrupted.
void write_synced(int fd, const uint8_t* bytes, size_t size, uint64_t offset);

// Ends the process with what the system said.
[[noreturn]] void die(std::string_view what);

}  // namespace sg::bench
