// Whose directory this is, which run of it this is, and what is known to be missing from it. Format: docs/formats/journal.md.
//
// Invariant: once made, the file holds two slots that are written in turn, in place and synced: a crash tears at most the older state's
// slot, and no write needs space. The youngest slot that can be read is the identity; without one the directory is not used, since a
// node that forgot who it was must not vote as if it were new.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/sync.h"
#include "broker/wal/damage.h"
#include "disk/disk.h"

namespace sg::wal {

struct Identity {
  static constexpr size_t kMaxFormer = 16;

  NodeId node_id;
  Uuid directory_id;
  Uuid cluster_id;  // zero: not known yet
  VoterId voter_id{0};
  Incarnation voter_since{0};   // the run that drew it; later runs use no other
  Incarnation counter{0};       // of the youngest run; 0: none has begun, or nobody counted them yet
  uint64_t nonce = 0;           // of that run
  uint64_t newest_segment = 0;  // its name and header are durable; 0: none was noted
  uint64_t lock_inode = 0;      // of the lock file; 0: not known
  int64_t lock_birth_ns = 0;
  std::vector<Uuid> former{};  // directories of which this one was made (`adopt`), oldest first: their segments are read
  DamageList damage{};
  bool operator==(const Identity&) const = default;

  bool owns(const Uuid& directory) const;
  // The lock file is the one that this identity was written beside, as far as anybody can tell.
  bool is_home(const disk::FileInfo& lock) const;
  void settle_in(const disk::FileInfo& lock);
};

inline constexpr size_t kIdentitySlotBytes = 4096;
inline constexpr size_t kIdentitySlots = 2;

struct IdentitySlot {
  uint64_t sequence = 0;  // the greater one is the younger; its parity is the slot's number
  Identity identity;
};
ByteVec encode_identity_slot(const IdentitySlot& slot);
// Errc::corrupt; Errc::invalid: whole, but of another version.
Result<IdentitySlot> decode_identity_slot(ByteSpan bytes);
// The format before voter ids: 48 bytes, nothing but node, directory and cluster.  Errc::corrupt, Errc::invalid.
inline constexpr size_t kOldIdentityBytes = 48;
Result<Identity> decode_old_identity(ByteSpan bytes);

// The file. Several tasks may change and save it; who waits for the same write shares it.
class IdentityFile {
 public:
  // Opens and locks it: waits until `give_up` for the last write of a killed process, which would take this run's back.
  // Errc::not_found; Errc::corrupt, Errc::invalid as above; Errc::busy. A file of the older format is replaced by one of this.
  static Result<std::unique_ptr<IdentityFile>> open(Task& task, disk::Disk& disk, const std::string& directory, Time give_up);
  // Durable, name and all, when it returns.
  static Result<std::unique_ptr<IdentityFile>> create(Task& task, disk::Disk& disk, const std::string& directory, Identity identity,
                                                      Time give_up);

  // For people: changes nothing.
  static Result<Identity> read(Task& task, disk::Disk& disk, const std::string& directory);

  const Identity& now() const { return identity_; }
  // For a change; save() makes it durable.
  Identity& edit() {
    ++edited_;
    return identity_;
  }
  // Everything that was changed before the call is durable when it returns. After a failure nothing is written any more.
  Result<> save(Task& task);
  // Likewise, in both slots: no loss of one of them takes the change back.
  Result<> save_in_both(Task& task);
  // The newest segment that a durable slot names.
  uint64_t noted_segment() const { return noted_segment_; }

 private:
  IdentityFile(std::unique_ptr<disk::File> file, IdentitySlot slot)
      : file_(std::move(file)), identity_(std::move(slot.identity)), sequence_(slot.sequence), noted_segment_(identity_.newest_segment) {}

  std::unique_ptr<disk::File> file_;
  Identity identity_;
  uint64_t sequence_;  // of the last slot that was written
  uint64_t noted_segment_;
  // What was read may be in the page cache of a process that was killed while it wrote, and nowhere else. It is synced before the slot that
  // is durable for certain is written over.
  bool settled_ = false;
  uint64_t edited_ = 0;
  uint64_t saved_ = 0;
  bool writing_ = false;
  std::optional<Error> failure_;
  Signal written_;
};

}  // namespace sg::wal
