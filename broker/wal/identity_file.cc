// The identity's file: made once, then written slot by slot. Contract: broker/wal/identity.h.
#include <algorithm>

#include "base/probe.h"
#include "broker/wal/file_lock.h"
#include "broker/wal/identity.h"

namespace sg::wal {
namespace {

uint64_t place_of(uint64_t sequence) { return sequence % kIdentitySlots * kIdentitySlotBytes; }

std::string path_in(const std::string& directory) { return directory + "/identity"; }

}  // namespace

Result<std::unique_ptr<IdentityFile>> IdentityFile::create(Task& task, disk::Disk& disk, const std::string& directory, Identity identity,
                                                           Time give_up) {
  const std::string path = path_in(directory);
  IdentitySlot slot{1, std::move(identity)};
  ByteVec both(kIdentitySlots * kIdentitySlotBytes);
  for (; slot.sequence <= kIdentitySlots; ++slot.sequence)
    std::ranges::copy(encode_identity_slot(slot), both.begin() + static_cast<std::ptrdiff_t>(place_of(slot.sequence)));
  --slot.sequence;
  {
    TRY(auto file, disk.open(task, path + ".new", disk::OpenMode::create));
    TRY_DO(lock_file(task, *file, path + ".new", give_up));
    TRY_DO(file->truncate(task, 0));
    TRY_DO(file->write(task, 0, both, disk::Durability::buffered));
    TRY_DO(file->sync(task));
    TRY_DO(disk.rename(task, path + ".new", path));
  }
  TRY_DO(disk.sync_directory(task, directory));
  TRY(auto file, disk.open(task, path, disk::OpenMode::read_write));  // errors name it as it is called now
  TRY_DO(lock_file(task, *file, path, give_up));
  std::unique_ptr<IdentityFile> made(new IdentityFile(std::move(file), std::move(slot)));
  made->settled_ = true;
  return made;
}

namespace {

struct Found {
  IdentitySlot slot;
  bool old_format = false;
};

Result<Found> read_file(Task& task, disk::File& file) {
  TRY(uint64_t size, file.size(task));
  ByteVec bytes(kIdentitySlotBytes);
  if (size == kOldIdentityBytes) {
    TRY(size_t got, file.read(task, 0, bytes));
    TRY(Identity identity, decode_old_identity(ByteSpan(bytes).first(got)));
    return Found{{0, std::move(identity)}, true};
  }
  std::optional<IdentitySlot> youngest;
  std::optional<Error> why;
  for (uint64_t i = 0; i < kIdentitySlots; ++i) {
    auto got = file.read(task, i * kIdentitySlotBytes, bytes);
    if (!got && !got.is(Errc::io)) return std::unexpected(got.error());
    auto slot = decode_identity_slot(ByteSpan(bytes).first(got.value_or(0)));
    if (slot.is(Errc::invalid)) return std::unexpected(slot.error());  // a younger program wrote it
    if (!slot) {
      REACHED("wal: a slot of the identity cannot be read");
      why = slot.error();
      continue;
    }
    if (!youngest || slot->sequence > youngest->sequence) youngest = std::move(*slot);
  }
  if (!youngest) return std::unexpected(*why);
  return Found{std::move(*youngest), false};
}

}  // namespace

Result<std::unique_ptr<IdentityFile>> IdentityFile::open(Task& task, disk::Disk& disk, const std::string& directory, Time give_up) {
  TRY(auto file, disk.open(task, path_in(directory), disk::OpenMode::read_write));
  TRY_DO(lock_file(task, *file, path_in(directory), give_up));
  TRY(Found found, read_file(task, *file));
  if (!found.old_format) return std::unique_ptr<IdentityFile>(new IdentityFile(std::move(file), std::move(found.slot)));
  file.reset();
  return create(task, disk, directory, std::move(found.slot.identity), give_up);
}

Result<Identity> IdentityFile::read(Task& task, disk::Disk& disk, const std::string& directory) {
  TRY(auto file, disk.open(task, path_in(directory), disk::OpenMode::read_only));
  TRY(Found found, read_file(task, *file));
  return std::move(found.slot.identity);
}

Result<> IdentityFile::save(Task& task) {
  const uint64_t wanted = edited_;
  while (saved_ < wanted) {
    if (failure_) return std::unexpected(*failure_);
    if (writing_) {
      TRY_DO(written_.wait(task, Time::never(), "the identity's slot", Interruptible::no));
      continue;
    }
    writing_ = true;
    auto done = settled_ ? Result<>() : file_->sync(task);
    settled_ = true;
    const uint64_t covers = edited_;
    const uint64_t noted = identity_.newest_segment;
    if (done) {
      ++sequence_;
      ByteVec slot = encode_identity_slot({sequence_, identity_});
      done = file_->write(task, place_of(sequence_), slot, disk::Durability::synced);
    }
    writing_ = false;
    if (done) {
      saved_ = covers;
      noted_segment_ = noted;
    } else {
      failure_ = done.error();
    }
    written_.notify_all();
  }
  return {};
}

Result<> IdentityFile::save_in_both(Task& task) {
  for (size_t i = 0; i < kIdentitySlots; ++i) {
    ++edited_;
    TRY_DO(save(task));
  }
  return {};
}

}  // namespace sg::wal
